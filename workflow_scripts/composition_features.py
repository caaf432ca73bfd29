"""Computes Magpie composition features of a crystal table."""

from typing import Any

from sitenet.features.composition import write_composition_features
from sitenet.logs import run_job


def main(snakemake: Any) -> None:
    write_composition_features(snakemake.input.structures, snakemake.output[0])


if __name__ == "__main__":
    run_job(main, snakemake)
