"""Reads the predictions of a published submission for one fold."""

from pathlib import Path
from typing import Any

import pandas as pd

from sitenet.config.trial import Trial
from sitenet.data.manifest import Download, Manifest
from sitenet.data.sources.base import check_unchanged
from sitenet.logs import run_job
from sitenet.models.published.submission import read_submission
from sitenet.records import Cost, RunKey, RunResult

UNKNOWN = float("nan")


def main(snakemake: Any) -> None:
    files, wildcards, trial = snakemake.input, snakemake.wildcards, Trial.from_settings(snakemake.params.settings)
    fold, data = int(wildcards.fold), Manifest.read(files.data)
    ids, download = pd.read_parquet(files.ids)["id"].tolist(), Download.read(files.record)
    check_unchanged(download, "fetch_submission")
    predictions = read_submission(Path(download.path), data.name, fold, ids)
    predictions.to_parquet(snakemake.output.predictions, index=False)
    RunResult(
        key=RunKey(benchmark=snakemake.params.benchmark, trial=wildcards.trial, fold=fold, seed=int(wildcards.seed)),
        kind=trial.kind,
        settings=trial.settings,
        target=data.target,
        unit=data.unit,
        n_train=None,
        n_train_available=None,
        n_validation=0,
        validation_mae=UNKNOWN,
        n_parameters=None,
        epochs=None,
        cost=Cost(seconds=UNKNOWN, peak_memory_mb=UNKNOWN),
        versions={"submission_sha256": download.sha256},
        hardware={},
    ).write(snakemake.output.run)


if __name__ == "__main__":
    run_job(main, snakemake)
