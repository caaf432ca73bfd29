"""Splits the crystals into training, validation and test parts of every fold."""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from sitenet.data.manifest import Download, Manifest
from sitenet.data.sources import DatasetSettings
from sitenet.data.splits.write import write_splits
from sitenet.logs import run_job
from sitenet.settings.splits import SplitSettings


def main(snakemake: Any) -> None:
    Manifest.read(snakemake.input.data, check=["targets.parquet"])
    splits = TypeAdapter(SplitSettings).validate_python(snakemake.params.splits)
    dataset = TypeAdapter(DatasetSettings).validate_python(snakemake.config["dataset"])
    download = Download.read(snakemake.input.download) if snakemake.input.download else None
    write_splits(splits, dataset, Path(snakemake.input.targets).parent, download)


if __name__ == "__main__":
    run_job(main, snakemake)
