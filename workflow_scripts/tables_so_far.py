"""Writes the tables of a benchmark from the finished runs; they state how many runs are missing."""

from pathlib import Path
from typing import Any

from sitenet.config.benchmark import Benchmark
from sitenet.data.manifest import Manifest
from sitenet.evaluation.ablation import compare_trials
from sitenet.evaluation.results import read_results
from sitenet.evaluation.tables.predictions import write_predictions
from sitenet.evaluation.tables.write import write_tables
from sitenet.logs import run_job


def main(snakemake: Any) -> None:
    files, params, folder = snakemake.input, snakemake.params, Path(snakemake.output[0])
    config = Benchmark(snakemake.config).resolved()
    results = read_results(config, params.results, files.data, files.splits, files.features, stages=params.stages)
    folder.mkdir(parents=True, exist_ok=True)
    ablation = bool(compare_trials(results.runs, results.planned.grid))
    write_tables(results, folder, ablation, search=bool(results.stages))
    Manifest.read(files.data, check=["structures.parquet"])
    write_predictions(results.standings, files.structures, folder / "predictions.csv.gz")


if __name__ == "__main__":
    run_job(main, snakemake)
