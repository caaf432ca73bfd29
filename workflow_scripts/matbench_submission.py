"""Writes a Matbench submission for each model from the results of all runs."""

from pathlib import Path
from typing import Any

from sitenet.config.benchmark import Benchmark
from sitenet.errors import UserError
from sitenet.evaluation.matbench_submission import folders_of, submit, submitted
from sitenet.evaluation.results import read_results
from sitenet.logs import run_job


def main(snakemake: Any) -> None:
    files, config = snakemake.input, Benchmark(snakemake.config).resolved()
    read = [*files.results, *files.stopped], files.data, files.splits, files.features, files.selections, files.stages
    results = read_results(config, *read)
    rows = submitted(results.standings.rows)
    if not rows:
        raise UserError("the grid has only models that were trained elsewhere: a submission needs one of your own")
    for row, folder in zip(rows, folders_of([row.model for row in rows]), strict=True):
        submit(row, results.splits, config["dataset"]["name"], Path(snakemake.output[0]) / folder)


if __name__ == "__main__":
    run_job(main, snakemake)
