"""Reads the predictions of a published submission for one fold."""

from pathlib import Path
from typing import Any

import pandas as pd

from sitenet.config.trial import Trial
from sitenet.data.manifest import Download, Manifest, Splits
from sitenet.data.sources.base import check_unchanged
from sitenet.logs import run_job
from sitenet.models.published.submission import read_submission
from sitenet.records import Cost, Predictions, RunKey, RunResult

UNKNOWN = float("nan")


def main(snakemake: Any) -> None:
    files, trial = snakemake.input, Trial.from_settings(snakemake.params.settings)
    key = RunKey(benchmark=snakemake.params.benchmark, **dict(snakemake.wildcards.items()))
    data = Manifest.read(files.data)
    Splits.read(files.splits, check=[f"folds/fold{key.fold}/test_inputs.parquet"])
    ids, download = pd.read_parquet(files.ids)["id"].tolist(), Download.read(files.record)
    check_unchanged(download, "fetch_submission")
    predictions = read_submission(Path(download.path), data.name, key.fold, ids)
    predictions.to_parquet(snakemake.output.predictions, index=False)
    Predictions(key=key).write(snakemake.output.record, files=["predictions.parquet"])
    RunResult(
        key=key,
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
