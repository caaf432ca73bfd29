"""Fits one baseline on one fold and predicts its test crystals."""

import time
from pathlib import Path
from typing import Any

import pandas as pd

from sitenet.config.trial import Trial
from sitenet.data.manifest import Manifest, Splits
from sitenet.environment import hardware, package_versions, peak_memory_mb
from sitenet.logs import run_job
from sitenet.records import Cost, FeatureTable, Predictions, RunKey, RunResult
from sitenet.training.baseline import fit_baseline


def main(snakemake: Any) -> None:
    files, data, start = snakemake.input, Manifest.read(snakemake.input.data), time.monotonic()
    key, trial = (
        RunKey(benchmark=snakemake.params.benchmark, **dict(snakemake.wildcards.items())),
        Trial.from_settings(snakemake.params.settings),
    )
    Splits.read(files.splits, check=[f"folds/fold{key.fold}/{name}.parquet" for name in ("train", "test_inputs")])
    for record, table in zip(files.features_records, files.features, strict=True):
        FeatureTable.read(record, check=[Path(table).name])
    tables = [pd.read_parquet(table).set_index("id") for table in files.features]
    run = fit_baseline(
        trial,
        pd.read_parquet(files.train),
        pd.read_parquet(files.ids)["id"].tolist(),
        pd.concat(tables, axis=1).reset_index(),
        data.non_negative,
        key.seed,
        snakemake.threads,
        data.judged,
    )
    run.predictions.to_parquet(snakemake.output.predictions, index=False)
    Predictions(key=key).write(snakemake.output.record, files=["predictions.parquet"])
    RunResult(
        key=key,
        kind=trial.kind,
        settings=trial.settings,
        target=data.target,
        unit=data.unit,
        task=data.task,
        n_train=run.n_train,
        n_train_available=run.n_train,
        n_validation=run.n_validation,
        validation_error=run.validation_error,
        n_parameters=None,
        epochs=None,
        cost=Cost(seconds=time.monotonic() - start, peak_memory_mb=peak_memory_mb()),
        versions=package_versions(),
        hardware=hardware() | {"threads": snakemake.threads},
    ).write(snakemake.output.run)


if __name__ == "__main__":
    run_job(main, snakemake)
