"""Predicts the test crystals of one fold with a trained network."""

from pathlib import Path
from typing import Any

import pandas as pd

from sitenet.data.manifest import Splits
from sitenet.features.shard import open_features
from sitenet.logs import run_job
from sitenet.prediction.predictor import predict
from sitenet.records import Predictions, RunKey, RunResult, require_run
from sitenet.training.device import allotted_device


def main(snakemake: Any) -> None:
    files, key = snakemake.input, RunKey(benchmark=snakemake.params.benchmark, **dict(snakemake.wildcards.items()))
    require_run(files.run, RunResult.read(files.run, check=["best.pt"]).key, key)
    Splits.read(files.splits, check=[f"folds/fold{key.fold}/test_inputs.parquet"])
    store = open_features(Path(files.features), [Path(shard) for shard in snakemake.params.shards])
    ids = pd.read_parquet(files.ids, columns=["id"])["id"].tolist()
    device = allotted_device(snakemake.resources)
    predictions = predict(Path(files.best), store, ids, device, snakemake.threads)
    predictions.to_parquet(snakemake.output.predictions, index=False)
    Predictions(key=key).write(snakemake.output.record, files=["predictions.parquet"])


if __name__ == "__main__":
    run_job(main, snakemake)
