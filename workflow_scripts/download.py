"""Official file or database snapshot -> downloads/, unless it is there already."""

from typing import Any

from pydantic import TypeAdapter

from sitenet.config.data import DatasetSettings
from sitenet.data.sources import download_dataset
from sitenet.logs import run_job


def main(snakemake: Any) -> None:
    settings = TypeAdapter(DatasetSettings).validate_python(snakemake.config["dataset"])
    download_dataset(settings, snakemake.params.folder).write(snakemake.output[0])


if __name__ == "__main__":
    run_job(main, snakemake)
