"""Finds formula, number of sites and crystal system of every crystal of a data set."""

from pathlib import Path
from typing import Any

from sitenet.data.facts import CrystalFacts, write_facts
from sitenet.data.manifest import Manifest
from sitenet.logs import run_job


def main(snakemake: Any) -> None:
    Manifest.read(snakemake.input.data, check=["structures.parquet"])
    write_facts(snakemake.input.structures, snakemake.output.facts, snakemake.threads)
    CrystalFacts().write(snakemake.output.record, files=[Path(snakemake.output.facts).name])


if __name__ == "__main__":
    run_job(main, snakemake)
