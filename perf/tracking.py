"""What tracking costs a training: the same training with and without it, alternating.

    python perf/tracking.py --out tracking.json

`blocked_seconds` is what a training in offline mode waits for the tracker: while it starts it, and at the end.
`training_cpu_share_added` compares processor times, which other programs on the machine disturb less than the clock.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from sitenet.config.trial import Trial
from sitenet.data.table import CrystalTable, bundled_path
from sitenet.environment import hardware
from sitenet.features.featurize import featurize
from sitenet.features.store import write_shard
from sitenet.models.sitenet.settings import SiteNetSettings
from sitenet.records import RunKey
from sitenet.settings.features import FeatureSettings
from sitenet.settings.tracking import TrackingSettings
from sitenet.settings.training import TrainingSettings
from sitenet.tracking.process import following
from sitenet.tracking.tasks import Follow
from sitenet.training.run import TrainJob, train

FEATURES = FeatureSettings(max_sites=50)
TARGET = "band_gap"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crystals", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--one", nargs=3, metavar=("MODE", "INPUTS", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        result = run_once(args.one[0], Path(args.one[1]), Path(args.one[2]), args.epochs)
    else:
        with TemporaryDirectory() as folder:
            result = compare(Path(folder), args.crystals, args.epochs, args.repeats)
        print(json.dumps(result, indent=2))
    args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def compare(folder: Path, crystals: int, epochs: int, repeats: int) -> dict[str, Any]:
    write_inputs(folder, crystals)
    modes = ("disabled", "offline")
    runs: dict[str, list[dict[str, float]]] = {mode: [] for mode in modes}
    for repeat in range(repeats):
        for mode in modes if repeat % 2 else reversed(modes):
            runs[mode].append(in_new_process(mode, folder, folder / f"{mode}{repeat}", epochs))
    medians = {mode: {name: median(runs[mode], name) for name in runs[mode][0]} for mode in modes}
    offline, disabled = medians["offline"], medians["disabled"]
    return {
        "machine": hardware() | {"load": os.getloadavg()[0]},
        "training": {"crystals": crystals, "epochs": epochs, "repeats": repeats, "threads": 1},
        "medians": medians,
        "start_seconds": offline["start_seconds"],
        "blocked_seconds": offline["blocked_seconds"],
        "blocked_share": offline["blocked_seconds"] / offline["training_seconds"],
        "training_cpu_share_added": offline["training_cpu_seconds"] / disabled["training_cpu_seconds"] - 1,
        "tracker_cpu_seconds": offline["tracker_cpu_seconds"],
        "job_seconds_added": offline["job_seconds"] - disabled["job_seconds"],
        "runs": runs,
    }


def median(runs: Sequence[dict[str, float]], name: str) -> float:
    return statistics.median(run[name] for run in runs)


def write_inputs(folder: Path, count: int) -> None:
    table = bundled_path("mp_dielectric_gap")
    point_sets = [featurize(crystal, FEATURES) for crystal in CrystalTable.open(table).crystals(0, count)]
    write_shard(folder / "features.arrow", point_sets)
    frame = pd.read_parquet(table, columns=["id", TARGET]).head(count).rename(columns={TARGET: "target"})
    frame["part"] = ["validation" if i % 10 == 0 else "train" for i in range(count)]
    frame.to_parquet(folder / "train.parquet")


def in_new_process(mode: str, inputs: Path, folder: Path, epochs: int) -> dict[str, float]:
    """One training in a fresh process, as the workflow runs it."""
    out = folder.with_suffix(".json")
    command = [sys.executable, __file__, "--one", mode, str(inputs), str(folder)]
    start = time.perf_counter()
    subprocess.run([*command, "--epochs", str(epochs), "--out", str(out)], check=True)
    return {"job_seconds": time.perf_counter() - start} | json.loads(out.read_text(encoding="utf-8"))


def run_once(mode: Any, inputs: Path, folder: Path, epochs: int) -> dict[str, float]:
    trial = Trial({"model": SiteNetSettings(), "features": FEATURES, "training": TrainingSettings(max_epochs=epochs)})
    job = TrainJob(
        key=RunKey(benchmark="speed", trial=trial.id, fold=0, seed=0),
        trial=trial,
        features=[inputs / "features.arrow"],
        fold_table=inputs / "train.parquet",
        folder=folder / "run",
        target=TARGET,
        unit="eV",
        non_negative=True,
        data_checksum="",
        device="cpu",
    )
    task = Follow(
        settings=TrackingSettings(mode=mode),
        folder=folder / "wandb",
        dataset="mp_dielectric_gap",
        key=job.key,
        kind=trial.kind,
        hyperparameters=trial.settings,
        run_folder=job.folder,
        resumed=False,
    )
    start = time.perf_counter()
    with following(task):
        started, cpu = time.perf_counter(), time.process_time()
        train(job)
        trained, cpu = time.perf_counter(), time.process_time() - cpu
    ended = time.perf_counter()
    tracker = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "start_seconds": started - start,
        "training_seconds": trained - started,
        "training_cpu_seconds": cpu,
        "blocked_seconds": ended - trained + started - start,
        "tracker_cpu_seconds": tracker.ru_utime + tracker.ru_stime,
    }


if __name__ == "__main__":
    main()
