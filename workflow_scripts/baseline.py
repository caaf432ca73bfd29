"""Fits one baseline on one fold and predicts its test crystals."""

import time
from typing import Any

import pandas as pd

from sitenet.config.trial import Trial
from sitenet.data.manifest import Manifest
from sitenet.environment import hardware, package_versions, peak_memory_mb
from sitenet.logs import run_job
from sitenet.records import Cost, RunKey, RunResult
from sitenet.training.baseline import fit_baseline


def main(snakemake: Any) -> None:
    files, data, start = snakemake.input, Manifest.read(snakemake.input.data), time.monotonic()
    wildcards, trial = snakemake.wildcards, Trial.from_settings(snakemake.params.settings)
    run = fit_baseline(
        trial,
        pd.read_parquet(files.train),
        pd.read_parquet(files.ids)["id"].tolist(),
        pd.read_parquet(files.features),
        int(wildcards.seed),
        snakemake.threads,
    )
    run.predictions.to_parquet(snakemake.output.predictions, index=False)
    RunResult(
        key=RunKey(
            benchmark=snakemake.params.benchmark,
            trial=wildcards.trial,
            fold=int(wildcards.fold),
            seed=int(wildcards.seed),
        ),
        kind=trial.kind,
        settings=trial.settings,
        target=data.target,
        unit=data.unit,
        n_train=run.n_train,
        n_train_available=run.n_train,
        n_validation=run.n_validation,
        validation_mae=run.validation_mae,
        n_parameters=None,
        epochs=None,
        cost=Cost(seconds=time.monotonic() - start, peak_memory_mb=peak_memory_mb()),
        versions=package_versions(),
        hardware=hardware() | {"threads": snakemake.threads},
    ).write(snakemake.output.run)


if __name__ == "__main__":
    run_job(main, snakemake)
