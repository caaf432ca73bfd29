"""Downloads an official file or database snapshot to downloads/, unless it is already there."""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from sitenet.data.sources import DatasetSettings
from sitenet.logs import run_job


def main(snakemake: Any) -> None:
    settings = TypeAdapter(DatasetSettings).validate_python(snakemake.config["dataset"])
    settings.download(Path(snakemake.params.folder)).write(snakemake.output[0])


if __name__ == "__main__":
    run_job(main, snakemake)
