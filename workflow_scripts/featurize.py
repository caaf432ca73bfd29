"""Featurizes one shard of the crystals: point sets, and a table of failures."""

from pathlib import Path
from typing import Any

from sitenet.data.manifest import Manifest
from sitenet.data.table import CrystalTable
from sitenet.features.shard import featurize_shard
from sitenet.logs import run_job
from sitenet.records import FeatureTable
from sitenet.settings.features import FeatureSettings


def main(snakemake: Any) -> None:
    Manifest.read(snakemake.input.data, check=["structures.parquet"])
    described = [Path(shard) for shard in snakemake.input.described]
    for shard, record in zip(described, snakemake.input.described_record, strict=True):
        FeatureTable.read(record, check=[shard.name])
    featurize_shard(
        CrystalTable.open(snakemake.input.structures),
        FeatureSettings.model_validate(snakemake.params.features),
        int(snakemake.wildcards.shard),
        snakemake.params.shards,
        Path(snakemake.output.shard),
        described[0] if described else None,
    )


if __name__ == "__main__":
    run_job(main, snakemake)
