"""Computes structure features of a crystal table."""

from pathlib import Path
from typing import Any

from sitenet.data.manifest import Manifest
from sitenet.features.structure import write_structure_features
from sitenet.logs import run_job
from sitenet.records import FeatureTable


def main(snakemake: Any) -> None:
    Manifest.read(snakemake.input.data, check=["structures.parquet"])
    write_structure_features(snakemake.input.structures, snakemake.output.table, snakemake.threads)
    FeatureTable().write(snakemake.output.record, files=[Path(snakemake.output.table).name])


if __name__ == "__main__":
    run_job(main, snakemake)
