"""Downloads published predictions of the Matbench leaderboard to downloads/, unless they are already there."""

from pathlib import Path
from typing import Any

from sitenet.logs import run_job
from sitenet.models.published.download import download_submission


def main(snakemake: Any) -> None:
    mirror = snakemake.config["dataset"].get("mirror")
    name = snakemake.wildcards.submission
    download_submission(name, Path(snakemake.params.folder), mirror).write(snakemake.output[0])


if __name__ == "__main__":
    run_job(main, snakemake)
