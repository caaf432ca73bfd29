"""Measures training on one GPU; writes JSON. Takes about five minutes, needs no network and no data of its own.

    python perf/gpu.py --output results/costs/gpu.json

Every case trains a network on the bundled crystals, over and over, in batches of about `BATCH_PAIRS` pairs. Engines:
`recorded` launches steps as a CUDA graph, as trainings on a GPU do; `resident` gathers batches on the device, too, but
launches every operation by itself; `host` collates batches on the CPU and copies them. Precisions: float32, tf32
(float32 with products of ten bits) and bfloat16.

`floor_seconds_an_epoch` is what the pairs of an epoch must read and write at the least, at the bandwidth that a large
copy reaches here. `losses` are those of the first steps, beside a CPU's. `kernels` are those of the recorded engine
that take most time. `packed` compares four trainings that share the device with the same four one after the other.

With --device cpu it runs on a machine without a GPU, which shows that it works and nothing else.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from sitenet.data.table import CrystalTable, bundled_path
from sitenet.environment import hardware
from sitenet.features.featurize import featurize
from sitenet.features.store import FeatureStore, write_shard
from sitenet.models.registry import model_kinds
from sitenet.settings.features import FeatureSettings
from sitenet.settings.training import TrainingSettings
from sitenet.training.batching import pair_batches
from sitenet.training.device import choose_device, device_name
from sitenet.training.recorded import RecordedGradients, Size
from sitenet.training.resident import ResidentPointSets
from sitenet.training.trainer import Trainer
from sitenet.training.training_data import Labelled, TrainingData

REPEATS = 8  # of the crystals in an epoch
LISTED = 12  # kernels
COMPARED = 3  # steps whose losses are compared with a CPU's
ENGINES = ["host-float32", "resident-float32", "recorded-float32", "recorded-tf32", "recorded-bfloat16"]
MOMENTS = {"moments": 3, "cutoff": 4.0, "envelope": True}
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "sitenet, 50 sites": ("sitenet", {"elemental_scaling": "standardised"}, {"max_sites": 50}),
    "sitenet, 100 sites": ("sitenet", {"elemental_scaling": "standardised"}, {"max_sites": 100}),
    "sitenet, 500 sites": ("sitenet", {"elemental_scaling": "standardised"}, {"max_sites": 500}),
    "sitenet_radial, 50 sites": ("sitenet_radial", {}, {"max_sites": 50}),
    "sitenet_radial, 500 sites": ("sitenet_radial", {}, {"max_sites": 500}),
    "sitenet_radial, 4 angstrom": ("sitenet_radial", {}, {"radius": 4.0}),
    "sitenet_radial with moments, 4 angstrom": ("sitenet_radial", MOMENTS, {"radius": 4.0, "moments": 3}),
    "sitenet_radial with moments and gate, 5 angstrom": (
        "sitenet_radial",
        MOMENTS | {"cutoff": 5.0, "gate_channels": 128},
        {"radius": 5.0, "moments": 3},
    ),
}


@dataclass(frozen=True)
class Loaded:
    """Featurized crystals of a case, and the batches of an epoch."""

    store: FeatureStore
    data: TrainingData
    batches: list[np.ndarray]

    @classmethod
    def read(cls, shard: Path, batch_pairs: int) -> "Loaded":
        """Reads features and plans an epoch."""
        store = FeatureStore([shard])
        part = Labelled(np.arange(len(store)), np.linspace(0, 5, len(store)))
        random = np.random.default_rng(0)
        order = np.concatenate([random.permutation(len(store)) for _ in range(REPEATS)])
        batches = [order[batch] for batch in pair_batches(store.n_pairs[order], batch_pairs)]
        return cls(store, TrainingData(part, part, len(part), ""), batches)


def featurized(case: str, folder: Path, structures: Path, crystals: int) -> Path:
    """Featurizes crystals for a case, evenly spaced over the table."""
    settings, shard = FeatureSettings(**CASES[case][2]), folder / f"{list(CASES).index(case)}.arrow"
    every = max(1, len(table := CrystalTable.open(structures)) // crystals)
    chosen = (crystal for row, crystal in enumerate(table.crystals()) if row % every == 0)
    write_shard(shard, (featurize(crystal, settings) for crystal in chosen), settings)
    return shard


def trainer(case: str, loaded: Loaded, device: torch.device, precision: str) -> Trainer:
    """A new training with reproducible weights."""
    torch.manual_seed(0)
    kind, model, _ = CASES[case]
    known = model_kinds()[kind]
    settings = TrainingSettings.model_validate({"precision": precision, "ema_decay": 0.99, "standardise_target": True})
    return Trainer(known.build(known.settings(**model), True), settings, loaded.store, loaded.data, 0, device)


class NeverFits(RecordedGradients):
    """In place of recorded steps: every batch is computed operation by operation."""

    def __init__(self) -> None:
        """Records nothing."""

    def fits(self, indices: Any) -> bool:  # noqa: D102
        return False


def prepare(case: str, loaded: Loaded, device: torch.device, engine: str, precision: str) -> Trainer:
    """A training whose steps are computed by an engine."""
    training, train = trainer(case, loaded, device, precision), loaded.data.train
    if engine == "host":
        training.store, training._recorded = loaded.store, NeverFits()
        return training
    store = ResidentPointSets(loaded.store, train.indices, device)
    training.store, training._recorded = store, NeverFits()
    if engine == "recorded":
        size = Size.for_batches(loaded.batches, store)
        training._recorded = RecordedGradients(training._gradients, store, train.table, size)
    return training


def rate(
    case: str, loaded: Loaded, device: torch.device, precision: str, engine: str, seconds: float
) -> dict[str, float]:
    """Crystals a second, after a first epoch that warms up, and the seconds of setting up."""
    began = time.perf_counter()
    training = prepare(case, loaded, device, engine, precision)
    epoch(training, loaded)
    synchronise(device)
    setup, began, seen = time.perf_counter() - began, time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        epoch(training, loaded)
        seen += REPEATS * len(loaded.data.train)
    synchronise(device)
    return {"crystals_a_second": seen / (time.perf_counter() - began), "setup_seconds": setup}


def epoch(training: Trainer, loaded: Loaded) -> None:
    for step in training._steps(loaded.batches):
        training._update(step)
    training._collect()


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def losses(case: str, loaded: Loaded, device: torch.device, engine: str) -> list[float]:
    """Losses of the first steps in float32."""
    training, found = prepare(case, loaded, device, engine, "float32"), []
    for step in training._steps(loaded.batches[:COMPARED]):
        training._update(step)
        found.append(float(step.figures[0]))
    return found


def kernels(training: Trainer, loaded: Loaded) -> dict[str, float]:
    """Milliseconds of an epoch in the kernels that take most of it, so that one knows what to make faster."""
    epoch(training, loaded)
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if training.device.type == "cuda" else [])]
    with profile(activities=activities) as profiled:
        epoch(training, loaded)
        synchronise(training.device)
    on = "self_device_time_total" if training.device.type == "cuda" else "self_cpu_time_total"
    events = sorted(profiled.key_averages(), key=lambda event: -float(getattr(event, on)))
    return {event.key[:80]: getattr(event, on) / 1000 for event in events[:LISTED]}


def bandwidth(device: torch.device) -> float:
    """Bytes a second of a large copy, read and written."""
    source = torch.zeros(2**28 if device.type == "cuda" else 2**25, dtype=torch.uint8, device=device)
    target, best = torch.empty_like(source), float("inf")
    for _ in range(5):
        synchronise(device)
        began = time.perf_counter()
        target.copy_(source)
        synchronise(device)
        best = min(best, time.perf_counter() - began)
    return 2 * len(source) / best


def pair_bytes(training: Trainer, pairs: int) -> int:
    """What a step must move for its pairs: forward it reads a row of each far site and writes none, backward thrice."""
    settings: Any = training.model.settings
    width = getattr(settings, "width", None) or settings.heads * settings.pair_width_per_head
    return 4 * pairs * width * 4 * settings.blocks


def packed(case: str, given: Sequence[str]) -> dict[str, float]:
    """Seconds of four trainings of some epochs, one after the other and at once."""
    command = [sys.executable, __file__, "--worker", case, *given]
    began = time.perf_counter()
    alone = [float(subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout) for _ in range(4)]
    one_by_one = time.perf_counter() - began
    began = time.perf_counter()
    together = [subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") for _ in range(4)]
    shared = [float(process.communicate()[0]) for process in together]
    return {
        "crystals_a_second_alone": sum(alone) / 4,
        "crystals_a_second_of_four_together": sum(shared),
        "seconds_one_after_the_other": one_by_one,
        "seconds_together": time.perf_counter() - began,
    }


def measure(case: str, loaded: Loaded, device: torch.device, seconds: float, engines: list[str]) -> dict[str, Any]:
    """All figures of one case."""
    on_cpu, here = losses(case, loaded, torch.device("cpu"), "host"), losses(case, loaded, device, "recorded")
    rates = {}
    for name in engines:
        engine, precision = name.split("-")
        rates[name] = rate(case, loaded, device, precision, engine, seconds)
        print(case, name, rates[name], flush=True)
    slowest = kernels(prepare(case, loaded, device, "recorded", "float32"), loaded)
    moved = pair_bytes(trainer(case, loaded, device, "float32"), REPEATS * int(loaded.store.n_pairs.sum()))
    best = max(rate["crystals_a_second"] for rate in rates.values())
    return {
        "crystals": len(loaded.store),
        "pairs": int(loaded.store.n_pairs.sum()),
        "steps_an_epoch": len(loaded.batches),
        "rates": rates,
        "floor_seconds_an_epoch": moved / bandwidth(device),
        "time_over_floor": REPEATS * len(loaded.store) / best / (moved / bandwidth(device)),
        "kernels": slowest,
        "losses_on_a_cpu": on_cpu,
        "losses": here,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("results/costs/gpu.json"))
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each rate")
    parser.add_argument("--structures", type=Path, default=bundled_path("mp_dielectric_gap"), help="a crystal table")
    parser.add_argument("--crystals", type=int, default=1056, help="of the table, evenly spaced")
    parser.add_argument("--batch-pairs", type=int, default=30_000)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--engines", nargs="+", default=ENGINES)
    parser.add_argument("--worker", choices=CASES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    if arguments.worker:
        with TemporaryDirectory() as folder:
            shard = featurized(arguments.worker, Path(folder), arguments.structures, arguments.crystals)
            loaded = Loaded.read(shard, arguments.batch_pairs)
            found = rate(arguments.worker, loaded, device, "float32", "recorded", arguments.seconds)
            print(found["crystals_a_second"])
        return
    report: dict[str, Any] = {
        "device": device_name(device),
        "hardware": hardware(),
        "torch": torch.__version__,
        "bandwidth_gb_a_second": bandwidth(device) / 1e9,
        "batch_pairs": arguments.batch_pairs,
        "cases": {},
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
            given = map(repeat, (Path(folder), arguments.structures, arguments.crystals))
            shards = list(pool.map(featurized, arguments.cases, *given))
        for case, shard in zip(arguments.cases, shards, strict=True):
            loaded = Loaded.read(shard, arguments.batch_pairs)
            report["cases"][case] = measure(case, loaded, device, arguments.seconds, arguments.engines)
            arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")  # whatever ends the run
    report["packed"] = packed("sitenet_radial, 4 angstrom", sys.argv[1:])
    arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
