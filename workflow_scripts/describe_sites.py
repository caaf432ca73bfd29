"""Describes the sites of one shard of the crystals by a pretrained network."""

from pathlib import Path
from typing import Any

import torch

from sitenet.data.manifest import Manifest
from sitenet.data.table import CrystalTable
from sitenet.features.descriptors.shard import describe_shard
from sitenet.logs import run_job
from sitenet.records import FeatureTable
from sitenet.settings.features import FeatureSettings


def main(snakemake: Any) -> None:
    Manifest.read(snakemake.input.data, check=["structures.parquet"])
    shard = Path(snakemake.output.shard)
    torch.set_num_threads(snakemake.threads)
    describe_shard(
        CrystalTable.open(snakemake.input.structures),
        FeatureSettings.model_validate(snakemake.params.features),
        int(snakemake.wildcards.shard),
        snakemake.params.shards,
        shard,
    )
    FeatureTable().write(snakemake.output.record, files=[shard.name])


if __name__ == "__main__":
    run_job(main, snakemake)
