"""Checks that all shards of a feature set are complete and intact, and writes their manifest."""

from pathlib import Path
from typing import Any

from sitenet.data.manifest import Manifest
from sitenet.features.shard import collect
from sitenet.logs import run_job


def main(snakemake: Any) -> None:
    n_crystals = Manifest.read(snakemake.input.data).counts.kept
    manifest = collect(
        [Path(shard) for shard in snakemake.input.shards],
        n_crystals,
        snakemake.config["dataset"]["max_failed_share"],
        Path(snakemake.output.failures),
    )
    manifest.write(snakemake.output.manifest, files=[Path(snakemake.output.failures).name])


if __name__ == "__main__":
    run_job(main, snakemake)
