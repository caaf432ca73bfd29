"""Draws all figures of a benchmark from the results of its runs."""

from typing import Any

from sitenet.config.benchmark import Benchmark
from sitenet.evaluation.figures import FIGURES
from sitenet.evaluation.figures.style import save_figure
from sitenet.evaluation.results import read_results
from sitenet.logs import run_job


def main(snakemake: Any) -> None:
    files, config = snakemake.input, Benchmark(snakemake.config).resolved()
    read = [*files.results, *files.stopped], files.data, files.splits, files.features, files.selections, files.stages
    results = read_results(config, *read, files.other)
    files_of = dict(snakemake.output.items())
    for kind in FIGURES:
        if kind.name in files_of:
            save_figure(kind.draw(results), files_of[kind.name])


if __name__ == "__main__":
    run_job(main, snakemake)
