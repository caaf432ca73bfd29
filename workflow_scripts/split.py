"""Splits the crystals into training, validation and test parts of every fold."""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from sitenet.data.manifest import Download, Manifest
from sitenet.data.sources import DatasetSettings
from sitenet.data.splits.write import write_splits
from sitenet.logs import run_job
from sitenet.records import FeatureTable
from sitenet.settings.splits import SplitSettings


def main(snakemake: Any) -> None:
    files = snakemake.input
    Manifest.read(files.data, check=[Path(path).name for path in (files.targets, files.structures) if path])
    if files.features:
        FeatureTable.read(files.features_record, check=[Path(files.features).name])
    splits = TypeAdapter(SplitSettings).validate_python(snakemake.params.splits)
    dataset = TypeAdapter(DatasetSettings).validate_python(snakemake.config["dataset"])
    download = Download.read(files.download) if files.download else None
    write_splits(splits, dataset, Path(files.targets).parent, files.features or None, download)


if __name__ == "__main__":
    run_job(main, snakemake)
