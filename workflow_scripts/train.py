"""Trains one network on one fold with one seed, and predicts the test crystals, whose targets it does not see.

In a search, it may train for some epochs only, and then predicts nothing.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from sitenet.config.trial import Trial
from sitenet.data.manifest import Manifest, Splits
from sitenet.features.shard import open_features
from sitenet.logs import run_job
from sitenet.prediction.predictor import predict
from sitenet.records import Predictions, RunKey
from sitenet.settings.tracking import FOLDER, TrackingSettings
from sitenet.tracking.process import following
from sitenet.tracking.tasks import Follow
from sitenet.training.allotment import allotted_device
from sitenet.training.run import TrainJob, train


def main(snakemake: Any) -> None:
    data = Manifest.read(snakemake.input.data)
    place = dict(snakemake.wildcards.items())
    epochs = place.pop("epochs", None)
    key = RunKey(benchmark=snakemake.params.benchmark, **place)
    Splits.read(
        snakemake.input.splits, check=[f"folds/fold{key.fold}/{name}.parquet" for name in ("train", "test_inputs")]
    )
    shards = [Path(shard) for shard in snakemake.params.shards]
    store = open_features(Path(snakemake.input.features), shards)
    job = TrainJob(
        key=key,
        trial=Trial.from_settings(snakemake.params.settings),
        features=shards,
        fold_table=Path(snakemake.input.train),
        folder=Path(snakemake.output.run).parent,
        epochs=int(epochs) if epochs else None,
        target=data.target,
        unit=data.unit,
        non_negative=data.non_negative,
        task=data.task,
        data_checksum=data.structures_sha256,
        threads=snakemake.threads,
        device=allotted_device(snakemake.resources),
        checkpoint_seconds=snakemake.resources.checkpoint_seconds,
        start=Path(snakemake.input.start[0]) if snakemake.input.start else None,
    )
    tracking = Follow(
        settings=TrackingSettings(**snakemake.config["tracking"]),
        folder=Path(FOLDER) / key.benchmark,
        dataset=data.name,
        key=key,
        kind=job.trial.kind,
        hyperparameters=job.trial.settings,
        run_folder=job.folder,
        resumed=(job.folder / "last.pt").exists(),
    )
    with following(tracking):
        train(job)
    if job.epochs is not None:
        return
    ids = pd.read_parquet(snakemake.input.ids, columns=["id"])["id"].tolist()
    predictions = predict(Path(snakemake.output.best), store, ids, job.device, job.threads)
    predictions.to_parquet(snakemake.output.predictions, index=False)
    Predictions(key=key).write(snakemake.output.record, files=["predictions.parquet"])


if __name__ == "__main__":
    run_job(main, snakemake)
