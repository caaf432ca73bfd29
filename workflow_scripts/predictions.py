"""Reads the predictions of a model that was trained elsewhere for one fold: from a user's file or a submission."""

from pathlib import Path
from typing import Any

import pandas as pd

from sitenet.config.trial import Trial
from sitenet.data.manifest import Download, Manifest, Splits
from sitenet.data.sources.base import check_unchanged
from sitenet.files import sha256_of
from sitenet.logs import run_job
from sitenet.models.predictions.files import Wanted, read_predictions
from sitenet.records import Cost, Predictions, RunKey, RunResult

UNKNOWN = float("nan")


def main(snakemake: Any) -> None:
    files, trial = snakemake.input, Trial.from_settings(snakemake.params.settings)
    key = RunKey(benchmark=snakemake.params.benchmark, **dict(snakemake.wildcards.items()))
    data = Manifest.read(files.data, check=["structures.parquet"])
    splits = Splits.read(files.splits, check=[f"folds/fold{key.fold}/test_inputs.parquet"])
    path = Path(files.source)
    if trial.kind == "published":
        path = Path(check_unchanged(Download.read(path), "fetch_submission").path)
    wanted = Wanted(
        dataset=data.name,
        fold=key.fold,
        seed=key.seed,
        ids=pd.read_parquet(files.ids)["id"].tolist(),
        known=pd.read_parquet(files.structures, columns=["id"])["id"].tolist(),
        needs_fold=splits.kind in ("ids", "element") and len(splits.folds) > 1,
        task=data.task,
    )
    read_predictions(path, wanted).to_parquet(snakemake.output.predictions, index=False)
    Predictions(key=key).write(snakemake.output.record, files=["predictions.parquet"])
    RunResult(
        key=key,
        kind=trial.kind,
        settings=trial.settings,
        target=data.target,
        unit=data.unit,
        task=data.task,
        n_train=None,
        n_train_available=None,
        n_validation=0,
        validation_error=UNKNOWN,
        n_parameters=None,
        epochs=None,
        cost=Cost(seconds=UNKNOWN, peak_memory_mb=UNKNOWN),
        versions={"predictions_sha256": sha256_of(path)},
        hardware={},
    ).write(snakemake.output.run)


if __name__ == "__main__":
    run_job(main, snakemake)
