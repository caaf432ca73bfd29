"""Decides the next stage of a search on one fold, from the validation errors of the stages before."""

from typing import Any

from sitenet.config.benchmark import Benchmark
from sitenet.logs import run_job
from sitenet.records import RunResult
from sitenet.search.decide import next_stage
from sitenet.search.stage import Stage


def main(snakemake: Any) -> None:
    search = Benchmark(snakemake.config).searches[snakemake.wildcards.search]
    fold = int(snakemake.wildcards.fold)
    stages = [Stage.of(path, search.id, fold) for path in snakemake.input.stages]
    results = [RunResult.read(path) for path in snakemake.input.records]
    next_stage(search, fold, stages, results).write(snakemake.output[0])


if __name__ == "__main__":
    run_job(main, snakemake)
