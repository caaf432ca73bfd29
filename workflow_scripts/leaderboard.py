"""Writes the tables of a benchmark from the results of its runs."""

from pathlib import Path
from typing import Any

import yaml

from sitenet.config.benchmark import Benchmark
from sitenet.data.manifest import Manifest
from sitenet.evaluation.results import read_results
from sitenet.evaluation.tables.predictions import write_predictions
from sitenet.evaluation.tables.write import write_tables
from sitenet.files import write_text
from sitenet.logs import run_job
from sitenet.search.stage import with_stages


def main(snakemake: Any) -> None:
    files, out, config = snakemake.input, snakemake.output, Benchmark(snakemake.config).resolved()
    read = [*files.results, *files.stopped], files.data, files.splits, files.features, files.selections, files.stages
    results = read_results(config, *read, files.other)
    write_tables(results, Path(out.csv).parent, bool(out.ablation), bool(out.search))
    Manifest.read(files.data, check=["structures.parquet"])
    write_predictions(results.standings, files.structures, out.predictions)
    write_text(out.config, yaml.safe_dump(with_stages(config, results.stages), sort_keys=False))


if __name__ == "__main__":
    run_job(main, snakemake)
