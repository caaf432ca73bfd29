"""Scores predictions against test targets; no other rule reads test targets."""

from typing import Any

import pandas as pd

from sitenet.evaluation.statistics.metrics import score_predictions
from sitenet.logs import run_job
from sitenet.records import RunResult


def main(snakemake: Any) -> None:
    run = RunResult.read(snakemake.input.run)
    predictions = pd.read_parquet(snakemake.input.predictions)
    metrics, joined = score_predictions(predictions, pd.read_parquet(snakemake.input.targets))
    joined.to_parquet(snakemake.output.predictions, index=False)
    run.model_copy(update={"test": metrics}).write(snakemake.output.result)


if __name__ == "__main__":
    run_job(main, snakemake)
