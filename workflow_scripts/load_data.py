"""Reads a data source into a crystal table, targets, failures and a manifest."""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from sitenet.data.load import load_dataset
from sitenet.data.manifest import Download
from sitenet.data.sources import DatasetSettings
from sitenet.logs import run_job


def main(snakemake: Any) -> None:
    settings = TypeAdapter(DatasetSettings).validate_python(snakemake.config["dataset"])
    download = Download.read(snakemake.input.download) if settings.needs_download else None
    load_dataset(settings, Path(snakemake.output.manifest).parent, download)


if __name__ == "__main__":
    run_job(main, snakemake)
