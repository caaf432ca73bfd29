"""Pools the descriptors of sites to features of crystals."""

from pathlib import Path
from typing import Any

from sitenet.features.composition import FeatureTable
from sitenet.features.descriptors.shard import pooled
from sitenet.logs import run_job
from sitenet.settings.descriptors import DESCRIPTORS


def main(snakemake: Any) -> None:
    name, out = snakemake.wildcards.descriptor, Path(snakemake.output.table)
    pooled([Path(path) for path in snakemake.input.shards], name, DESCRIPTORS[name].width).to_parquet(out, index=False)
    FeatureTable().write(snakemake.output.record, files=[out.name])


if __name__ == "__main__":
    run_job(main, snakemake)
