"""Pools the descriptors of sites to features of crystals."""

from pathlib import Path
from typing import Any

from sitenet.features.descriptors.shard import pooled
from sitenet.logs import run_job
from sitenet.records import FeatureTable
from sitenet.settings.descriptors import DESCRIPTORS


def main(snakemake: Any) -> None:
    name, out, shards = snakemake.wildcards.descriptor, Path(snakemake.output.table), snakemake.input.shards
    for record, shard in zip(snakemake.input.records, shards, strict=True):
        FeatureTable.read(record, check=[Path(shard).name])
    pooled([Path(shard) for shard in shards], name, DESCRIPTORS[name].width).to_parquet(out, index=False)
    FeatureTable().write(snakemake.output.record, files=[out.name])


if __name__ == "__main__":
    run_job(main, snakemake)
