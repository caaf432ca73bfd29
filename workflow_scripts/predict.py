"""Predicts the test crystals of one fold with a trained network."""

from pathlib import Path
from typing import Any

import pandas as pd

from sitenet.features.store import FeatureStore
from sitenet.logs import run_job
from sitenet.prediction.predictor import predict
from sitenet.training.device import allotted_device


def main(snakemake: Any) -> None:
    store = FeatureStore([Path(shard) for shard in snakemake.params.shards])
    ids = pd.read_parquet(snakemake.input.ids, columns=["id"])["id"].tolist()
    device = allotted_device(snakemake.resources)
    predictions = predict(Path(snakemake.input.best), store, ids, device, snakemake.threads)
    predictions.to_parquet(snakemake.output.predictions, index=False)


if __name__ == "__main__":
    run_job(main, snakemake)
