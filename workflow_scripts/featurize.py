"""Featurizes one shard of the crystals: point sets, and a table of failures."""

from pathlib import Path
from typing import Any

from sitenet.data.manifest import Manifest
from sitenet.data.table import CrystalTable
from sitenet.features.shard import featurize_shard
from sitenet.logs import run_job
from sitenet.settings.features import FeatureSettings


def main(snakemake: Any) -> None:
    Manifest.read(snakemake.input.data, check=["structures.parquet"])
    featurize_shard(
        CrystalTable.open(snakemake.input.structures),
        FeatureSettings.model_validate(snakemake.params.features),
        int(snakemake.wildcards.shard),
        snakemake.params.shards,
        Path(snakemake.output.shard),
        Path(snakemake.input.described[0]) if snakemake.input.described else None,
    )


if __name__ == "__main__":
    run_job(main, snakemake)
