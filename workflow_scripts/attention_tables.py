"""Writes tables and figures of the attention of the analysed runs."""

from pathlib import Path
from typing import Any

from sitenet.config.benchmark import Benchmark
from sitenet.evaluation.attention.analysis import AttentionAnalysis
from sitenet.evaluation.attention.tables import write_attention_tables
from sitenet.evaluation.figures import ATTENTION_FIGURES, maps_of_trial
from sitenet.evaluation.figures.style import save_figure
from sitenet.evaluation.results import read_results
from sitenet.logs import run_job


def main(snakemake: Any) -> None:
    files, config = snakemake.input, Benchmark(snakemake.config).resolved()
    read = [*files.results, *files.stopped], files.data, files.splits, files.features, files.selections, files.stages
    analysis = AttentionAnalysis.read(files.attention, read_results(config, *read))
    write_attention_tables(analysis, Path(snakemake.output.cutoff).parent)
    files_of = dict(snakemake.output.items())
    for kind in (*ATTENTION_FIGURES, *map(maps_of_trial, analysis.names.items())):
        save_figure(kind.draw(analysis), files_of[kind.name])


if __name__ == "__main__":
    run_job(main, snakemake)
