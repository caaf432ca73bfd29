"""Targets -> training, validation and test parts of every fold."""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from sitenet.config.data import DatasetSettings, SplitSettings
from sitenet.data.splits import write_splits
from sitenet.logs import run_job


def main(snakemake: Any) -> None:
    splits = TypeAdapter(SplitSettings).validate_python(snakemake.params.splits)
    dataset = TypeAdapter(DatasetSettings).validate_python(snakemake.config["dataset"])
    write_splits(splits, dataset, Path(snakemake.input.targets).parent)


if __name__ == "__main__":
    run_job(main, snakemake)
