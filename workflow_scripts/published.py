"""Takes the predictions of a published submission for one fold."""

from pathlib import Path
from typing import Any

import pandas as pd

from sitenet.config.trial import Trial
from sitenet.data.manifest import Download, Manifest, Splits
from sitenet.data.matbench_submission import read_submission
from sitenet.logs import run_job
from sitenet.records import Cost, RunKey, RunResult

UNKNOWN = float("nan")


def main(snakemake: Any) -> None:
    files, wildcards, trial = snakemake.input, snakemake.wildcards, Trial.from_nested(snakemake.params.settings)
    fold, data = int(wildcards.fold), Manifest.read(files.data)
    ids, path = pd.read_parquet(files.ids)["id"].tolist(), Path(Download.read(files.record).path)
    read_submission(path, data.name, fold, ids).to_parquet(snakemake.output.predictions, index=False)
    n_train = Splits.read(files.splits).folds[fold].full_train
    RunResult(
        key=RunKey(dataset=snakemake.params.dataset, trial=wildcards.trial, fold=fold, seed=int(wildcards.seed)),
        kind=trial.kind,
        settings=trial.settings,
        target=data.target,
        unit=data.unit,
        n_train=n_train,
        n_train_available=n_train,
        n_validation=0,
        validation_mae=UNKNOWN,
        n_parameters=None,
        epochs=None,
        cost=Cost(seconds=UNKNOWN, peak_memory_mb=UNKNOWN),
        versions={},
        hardware={},
    ).write(snakemake.output.run)


if __name__ == "__main__":
    run_job(main, snakemake)
