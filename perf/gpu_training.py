"""Trains the networks of a configuration on one GPU, without Snakemake and without a network connection.

    python perf/gpu_training.py configs/matbench_mp_gap_gpu.yaml FOLDER --scratch FEATURES --output OUT

FOLDER is the folder of the data set as the workflow leaves it (`results/data/<name>`). All cores compute the features,
which are kept in `--scratch`. Then all runs share the GPU, a process each, or `--at-once` of them; the first seed goes
first. Every run leaves in OUT what the workflow leaves of it: `best.pt`, `history.jsonl`, `run.json` and
`predictions.parquet` of the test crystals. Called again, it goes on where it was stopped. With `--until`, trainings get
the minutes that are left, whatever `max_minutes` says.
"""

import argparse
import math
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import torch
import yaml

from sitenet.config.benchmark import Benchmark
from sitenet.config.pretrained import starting_network
from sitenet.config.trial import Trial
from sitenet.data.manifest import Manifest
from sitenet.data.table import CrystalTable
from sitenet.features.descriptors.shard import describe_shard
from sitenet.features.shard import featurize_shard
from sitenet.features.store import FeatureStore
from sitenet.logs import log_to
from sitenet.prediction.predictor import predict
from sitenet.records import Predictions, RunKey
from sitenet.settings.features import FeatureSettings
from sitenet.training.allotment import DeviceName
from sitenet.training.run import TrainJob, train

SHARDS = 64
PREDICTIONS = "predictions.json"  # written last
LOADING = 45  # seconds before and after a training: starting processes, loading features, predicting


@dataclass(frozen=True)
class Place:
    """Where the data set is, and where features and results go."""

    data: Path
    scratch: Path
    output: Path

    def shards(self, feature_set: str) -> list[Path]:
        """The shards of a feature set."""
        return [self.scratch / feature_set / f"{shard:03}.arrow" for shard in range(SHARDS)]

    def described(self, settings: FeatureSettings, shard: int) -> Path | None:
        """The descriptors of a shard, if the features have any."""
        name = settings.descriptor_set
        return self.scratch / name / f"{shard:03}.parquet" if name else None


def featurize(place: Place, settings: FeatureSettings, device: DeviceName, shard: int, path: Path) -> None:
    """Featurizes one shard, unless an earlier run did."""
    if path.exists():
        return
    table, described = CrystalTable.open(place.data / "structures.parquet"), place.described(settings, shard)
    if described is not None and not described.exists():
        torch.set_num_threads(1)
        describe_shard(table, settings, shard, SHARDS, described, device)
    featurize_shard(table, settings, shard, SHARDS, path.with_suffix(".part"), described)
    path.with_suffix(".part").rename(path)


def run(job: TrainJob) -> str:
    """Trains a network and predicts the test crystals."""
    log_to(job.folder / "log")
    result = train(job)
    ids = pd.read_parquet(job.fold_table.with_name("test_inputs.parquet"), columns=["id"])["id"].tolist()
    predictions = predict(job.folder / "best.pt", FeatureStore(job.features), ids, job.device)
    predictions.to_parquet(job.folder / "predictions.parquet", index=False)
    Predictions(key=job.key).write(job.folder / PREDICTIONS, files=["predictions.parquet"])
    rate = (result.epochs or 0) * (result.n_train or 0) / result.cost.seconds
    return (
        f"fold {job.key.fold} seed {job.key.seed}: validation MAE {result.validation_error:.4f} {result.unit} after "
        f"{result.epochs} epochs and {result.cost.seconds:.0f} s, {rate:.0f} crystals/s with validation"
    )


def job_of(place: Place, manifest: Manifest, key: RunKey, trial: Trial, device: DeviceName) -> TrainJob:
    """The training of one network, as the workflow describes it."""
    return TrainJob(
        key=key,
        trial=trial,
        features=place.shards(trial.feature_id),
        fold_table=place.data / f"folds/fold{key.fold}/train.parquet",
        folder=place.output / f"{key.trial}/fold{key.fold}/seed{key.seed}",
        target=manifest.target,
        unit=manifest.unit,
        non_negative=manifest.non_negative,
        data_checksum=manifest.structures_sha256,
        device=device,
        start=starting_network(name, key.seed) if (name := trial.training.start_from) else None,
        task=manifest.task,
    )


def featurize_all(place: Place, benchmark: Benchmark, device: DeviceName) -> None:
    """Computes the features of all networks."""
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn")) as pool:
        for feature_set, settings in benchmark.feature_sets.items():
            shards = list(enumerate(place.shards(feature_set)))
            for file in (shards[0][1], place.described(settings, 0)):
                if file is not None:
                    file.parent.mkdir(parents=True, exist_ok=True)
            list(pool.map(featurize, repeat(place), repeat(settings), repeat(device), *zip(*shards, strict=True)))


def with_minutes(trial: Trial, minutes: float | None) -> Trial:
    """The trial with another limit of time, if one is given."""
    if minutes is None:
        return trial
    return Trial.from_settings(trial.settings | {"training": trial.settings["training"] | {"max_minutes": minutes}})


def train_all(
    place: Place, benchmark: Benchmark, device: DeviceName, minutes: float | None, at_once: int | None
) -> Iterator[str]:
    """Trains all networks, so many at once, and says of each how it went."""
    manifest = Manifest.read(place.data / "manifest.json")
    keys = [
        (RunKey(benchmark=benchmark.name, trial=trial.id, fold=fold, seed=seed), trial)
        for seed in benchmark.settings.seeds
        for fold in benchmark.folds
        for trial in (with_minutes(trial, minutes) for trial in benchmark.networks.values())
    ]
    jobs = [job_of(place, manifest, key, trial, device) for key, trial in keys]
    left = [job for job in jobs if not (job.folder / PREDICTIONS).exists()]
    if len(left) < len(jobs):
        yield f"{len(jobs) - len(left)} of {len(jobs)} trainings were finished before"
    with ProcessPoolExecutor(at_once or max(1, len(left)), get_context("spawn"), max_tasks_per_child=1) as pool:
        for done in as_completed([pool.submit(run, job) for job in left]):
            yield done.result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True, help="folder for features")
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument("--until", type=float, help="seconds since the epoch at which everything shall be done")
    limit.add_argument("--at-once", type=int, metavar="N", help="trainings that share the GPU (default: all)")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    arguments = parser.parse_args()
    if arguments.at_once is not None and arguments.at_once < 1:
        parser.error(f"argument --at-once has the value {arguments.at_once}: one training is the least")
    benchmark = Benchmark(yaml.safe_load(arguments.config.read_text(encoding="utf-8")))
    if benchmark.searches or not benchmark.networks:
        refused = "a search, which the workflow runs" if benchmark.searches else "no network"
        parser.error(f"the grid of {arguments.config} has {refused}")
    checksum = Manifest.read(arguments.data / "manifest.json").structures_sha256  # features are those of the data
    place, began = Place(arguments.data, arguments.scratch / checksum[:8], arguments.output), time.monotonic()
    featurize_all(place, benchmark, arguments.device)
    minutes = arguments.until and math.floor((arguments.until - time.time() - LOADING) / 6) / 10
    if minutes is not None and minutes <= 0:
        sys.exit(f"features took {time.monotonic() - began:.0f} s, which leaves no time for trainings: give more")
    limit_of_each = f", trainings of {minutes} minutes" if minutes else ""
    print(f"features after {time.monotonic() - began:.0f} s{limit_of_each}", flush=True)
    for line in train_all(place, benchmark, arguments.device, minutes, arguments.at_once):
        print(f"{line}, {time.monotonic() - began:.0f} s after the start", flush=True)


if __name__ == "__main__":
    main()
