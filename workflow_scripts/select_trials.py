"""Selects the trial of each model kind on one fold by validation scores."""

from typing import Any

from sitenet.evaluation.selection import write_selection
from sitenet.logs import run_job


def main(snakemake: Any) -> None:
    write_selection(list(snakemake.input), snakemake.output[0])


if __name__ == "__main__":
    run_job(main, snakemake)
