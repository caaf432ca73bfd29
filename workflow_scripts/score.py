"""Scores predictions against test targets; no other rule reads test targets."""

from typing import Any

import pandas as pd

from sitenet.data.manifest import Splits
from sitenet.evaluation.runs import PREDICTIONS
from sitenet.evaluation.statistics.metrics import score_predictions
from sitenet.logs import run_job
from sitenet.records import Predictions, RunKey, RunResult, require_run


def main(snakemake: Any) -> None:
    files, key = snakemake.input, RunKey(benchmark=snakemake.params.benchmark, **dict(snakemake.wildcards.items()))
    run = RunResult.read(files.run)
    require_run(files.run, run.key, key)
    Predictions.of_run(files.record, key)
    Splits.read(files.splits, check=[f"folds/fold{key.fold}/test_targets.parquet"])
    metrics, joined = score_predictions(pd.read_parquet(files.predictions), pd.read_parquet(files.targets), run.task)
    joined.to_parquet(snakemake.output.predictions, index=False)
    run.model_copy(update={"test": metrics}).write(snakemake.output.result, files=[PREDICTIONS])


if __name__ == "__main__":
    run_job(main, snakemake)
