"""Measures training on one GPU; writes JSON. Takes about five minutes, needs no network and no data of its own.

    python perf/gpu.py --output results/costs/gpu.json

Every case trains a network with default options on the bundled crystals, over and over, in batches of about
`BATCH_PAIRS` pairs. Engines: `resident` gathers batches on the device, as trainings on a GPU do; `host` collates them
on the CPU and copies them. Precisions: float32, tf32 (float32 with products of ten bits) and bfloat16.

`floor` is the least time that memory needs for a step: what the pairs of a step must read and write at the bandwidth
that a large copy reaches here. `loss_difference` compares the losses of the first steps with those of a CPU. `packed`
compares four trainings that share the device with the same four one after the other.

With --device cpu it runs on a machine without a GPU, which shows that it works and nothing else.
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from sitenet.data.table import CrystalTable, bundled_path
from sitenet.environment import hardware
from sitenet.features.featurize import featurize
from sitenet.features.store import FeatureStore, write_shard
from sitenet.models.registry import model_kinds
from sitenet.settings.features import FeatureSettings
from sitenet.settings.training import TrainingSettings
from sitenet.training.batching import load_batches, pair_batches
from sitenet.training.device import choose_device, device_name
from sitenet.training.resident import ResidentPointSets
from sitenet.training.trainer import Trainer
from sitenet.training.training_data import Labelled, TrainingData

BATCH_PAIRS = 200_000
COMPARED = 5  # steps whose losses are compared with a CPU's
MOMENTS = {"moments": 3, "cutoff": 4.0, "envelope": True}
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "sitenet, 50 sites": ("sitenet", {"elemental_scaling": "standardised"}, {"max_sites": 50}),
    "sitenet, 100 sites": ("sitenet", {"elemental_scaling": "standardised"}, {"max_sites": 100}),
    "sitenet, 500 sites": ("sitenet", {"elemental_scaling": "standardised"}, {"max_sites": 500}),
    "sitenet_radial, 50 sites": ("sitenet_radial", {}, {"max_sites": 50}),
    "sitenet_radial, 500 sites": ("sitenet_radial", {}, {"max_sites": 500}),
    "sitenet_radial, 4 angstrom": ("sitenet_radial", {}, {"radius": 4.0}),
    "sitenet_radial with moments, 4 angstrom": ("sitenet_radial", MOMENTS, {"radius": 4.0, "moments": 3}),
}


@dataclass(frozen=True)
class Loaded:
    """Featurized crystals of a case, and the batches of an epoch."""

    store: FeatureStore
    data: TrainingData
    batches: list[np.ndarray]

    @classmethod
    def of(cls, features: dict[str, Any], folder: Path, crystals: int) -> "Loaded":
        """Featurizes the first bundled crystals."""
        settings = FeatureSettings(**features)
        shard = folder / "shard.arrow"
        table = CrystalTable.open(bundled_path("mp_dielectric_gap"))
        write_shard(shard, (featurize(c, settings) for c in table.crystals(0, crystals)), settings.moments > 0)
        store = FeatureStore([shard])
        part = Labelled(np.arange(len(store)), np.linspace(0, 5, len(store)))
        order = np.random.default_rng(0).permutation(len(store))
        batches = [order[batch] for batch in pair_batches(store.n_pairs[order], BATCH_PAIRS)]
        return cls(store, TrainingData(part, part, len(part), ""), batches)


def trainer(case: str, loaded: Loaded, device: torch.device, precision: str) -> Trainer:
    """A new training with reproducible weights."""
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    kind, model, _ = CASES[case]
    known = model_kinds()[kind]
    settings = TrainingSettings(
        precision="bfloat16" if precision == "bfloat16" else "float32", ema_decay=0.99, standardise_target=True
    )
    return Trainer(known.build(known.settings(**model), True), settings, loaded.store, loaded.data, 0, device)


def step(training: Trainer, batch: Any, loaded: Loaded) -> None:
    targets = loaded.data.train.targets[[loaded.store.indices_of([id_])[0] for id_ in batch.ids]]
    training._step(batch.to(training.device), torch.as_tensor(targets, dtype=torch.float32))


def rate(case: str, loaded: Loaded, device: torch.device, precision: str, engine: str, seconds: float) -> float:
    """Crystals a second, after a first epoch that warms up."""
    training = trainer(case, loaded, device, precision)
    store = ResidentPointSets(loaded.store, loaded.data.train.indices, device) if engine == "resident" else loaded.store
    for batch in load_batches(store, loaded.batches):
        step(training, batch, loaded)
    synchronise(device)
    began, seen = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for batch in load_batches(store, loaded.batches):
            step(training, batch, loaded)
            seen += batch.n_crystals
        synchronise(device)
    return seen / (time.perf_counter() - began)


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def losses(case: str, loaded: Loaded, device: torch.device) -> list[float]:
    """Losses of the first steps in float32."""
    training, found = trainer(case, loaded, device, "float32"), []
    for _, batch in zip(range(COMPARED), cycle(load_batches(loaded.store, loaded.batches)), strict=False):
        step(training, batch, loaded)
        sums = training._sums.take()
        found.append(sums.loss / max(sums.crystals, 1))
    return found


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


def packed(case: str, device: str, seconds: float) -> dict[str, float]:
    """Seconds of four trainings of some epochs, one after the other and at once."""
    command = [sys.executable, __file__, "--worker", case, "--device", device, "--seconds", str(seconds)]
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


def measure(case: str, device: torch.device, seconds: float, crystals: int) -> dict[str, Any]:
    """All figures of one case."""
    with TemporaryDirectory() as folder:
        loaded = Loaded.of(CASES[case][2], Path(folder), crystals)
        on_cpu, here = (losses(case, loaded, where) for where in (torch.device("cpu"), device))
        pairs = int(loaded.store.n_pairs.sum())
        rates = {
            f"{engine}, {precision}": rate(case, loaded, device, precision, engine, seconds)
            for engine, precision in (
                ("host", "float32"),
                ("resident", "float32"),
                ("resident", "tf32"),
                ("resident", "bfloat16"),
            )
        }
        floor = pair_bytes(trainer(case, loaded, device, "float32"), pairs) / bandwidth(device)
        best = max(value for name, value in rates.items() if name.startswith("resident"))
        return {
            "crystals": len(loaded.store),
            "pairs": pairs,
            "crystals_a_second": rates,
            "resident_over_host": rates["resident, float32"] / rates["host, float32"],
            "floor_seconds_an_epoch": floor,
            "time_over_floor": len(loaded.store) / best / floor,
            "loss_difference": max(abs(a - b) for a, b in zip(on_cpu, here, strict=True)),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("results/costs/gpu.json"))
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each rate")
    parser.add_argument("--crystals", type=int, default=1056)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--worker", choices=CASES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    if arguments.worker:
        with TemporaryDirectory() as folder:
            loaded = Loaded.of(CASES[arguments.worker][2], Path(folder), arguments.crystals)
            print(rate(arguments.worker, loaded, device, "float32", "resident", arguments.seconds))
        return
    report: dict[str, Any] = {
        "device": device_name(device),
        "hardware": hardware(),
        "torch": torch.__version__,
        "bandwidth_gb_a_second": bandwidth(device) / 1e9,
        "cases": {},
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    for case in arguments.cases:
        report["cases"][case] = measure(case, device, arguments.seconds, arguments.crystals)
        print(case, json.dumps(report["cases"][case], indent=2), flush=True)
        arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")  # whatever ends the run
    report["packed"] = packed("sitenet_radial, 4 angstrom", arguments.device, arguments.seconds)
    arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
