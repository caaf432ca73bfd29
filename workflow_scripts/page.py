"""Writes the result page of a benchmark from the results of its runs."""

from typing import Any

from sitenet.config.benchmark import Benchmark
from sitenet.data.facts import CrystalFacts
from sitenet.evaluation.attention.analysis import AttentionAnalysis
from sitenet.evaluation.page.crystals import TestCrystals
from sitenet.evaluation.page.write import write_page
from sitenet.evaluation.results import read_results
from sitenet.logs import run_job


def main(snakemake: Any) -> None:
    files, config = snakemake.input, Benchmark(snakemake.config).resolved()
    read = [*files.results, *files.stopped], files.data, files.splits, files.features, files.selections, files.stages
    results = read_results(config, *read, files.other)
    CrystalFacts.read(files.facts_record, check=["facts.parquet"])
    crystals = TestCrystals.read(files.facts, files.targets, dict(zip(config["folds"], files.train, strict=True)))
    attention = AttentionAnalysis.read(files.attention, results)
    write_page(results, crystals, config, snakemake.output[0], attention)


if __name__ == "__main__":
    run_job(main, snakemake)
