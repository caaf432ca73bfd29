"""Results of all runs -> a Matbench submission for each model."""

import re
from pathlib import Path
from typing import Any

from sitenet.data.manifest import Splits
from sitenet.errors import UserError
from sitenet.evaluation.matbench_record import submit, submitted
from sitenet.evaluation.standings import read_standings
from sitenet.logs import run_job


def main(snakemake: Any) -> None:
    files, task = snakemake.input, snakemake.params.config["dataset"]["name"]
    standings, _ = read_standings(snakemake.params.config, files.results, files.selections)
    splits = Splits.read(files.splits)
    entries = submitted(standings.entries)
    if not entries:
        raise UserError("the grid has no model of your own to submit, only published ones")
    for entry in entries:
        name = re.sub(r"[^a-z0-9]+", "_", entry.model).strip("_")
        submit(entry, splits, task, Path(snakemake.output[0]) / f"matbench_v0.1_{name}")


if __name__ == "__main__":
    run_job(main, snakemake)
