"""Times one training step of each network against a dense implementation; writes JSON.

    python perf/training.py --output results/costs/training.json

A step is forward, backward, gradient clipping and AdamW with default options, on bundled crystals. All
engines get the same crystals, weights and threads and take turns in one run. The fastest step of each
counts, the one least disturbed by other work on the machine. Peak memory is what a step adds to a fresh
process. Loading is what it takes to lay the crystals of a step end to end, which a thread does beside the steps.
Engines: `dense` (perf/dense.py), `plain` (torch with reduced pairs), `kernels` (as used).
"""

import argparse
import json
import random
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from dense import collate_dense, predict_radial, predict_sitenet
from torch import Tensor

from sitenet.data.crystal import Crystal
from sitenet.data.table import CrystalTable, bundled_path
from sitenet.environment import hardware
from sitenet.features.featurize import featurize
from sitenet.models.base import kernels
from sitenet.models.base.batch import collate
from sitenet.models.base.network import Network
from sitenet.models.registry import default_model
from sitenet.models.sitenet import kernels as fused
from sitenet.models.sitenet_radial import kernels as radial_kernels
from sitenet.settings.features import FeatureSettings

ENGINES = ("dense", "plain", "kernels")
KERNELS = {"sitenet": ("sitenet/kernels", fused), "sitenet_radial": ("sitenet_radial/kernels", radial_kernels)}
DENSE: dict[str, Callable[..., Tensor]] = {"sitenet": predict_sitenet, "sitenet_radial": predict_radial}


@dataclass(frozen=True)
class Case:
    """What is timed: `rounds` steps on `crystals` crystals in supercells of up to `max_sites` sites."""

    kind: str
    max_sites: int
    crystals: int
    rounds: int
    threads: int


def network(kind: str) -> Network:
    """A network with default options and reproducible weights."""
    torch.manual_seed(0)
    return default_model(kind, False)


class Engine:
    """A network with its optimiser and one way of computing predictions."""

    def __init__(self, name: str, kind: str):
        self.name, self.kind, self.model = name, kind, network(kind)
        self.start = {key: value.clone() for key, value in self.model.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=8.126e-4, amsgrad=True, eps=1e-7, weight_decay=1e-4
        )

    def load(self, crystals: list[Crystal], max_sites: int) -> tuple[Callable[[], Tensor], int]:
        """A function that predicts the crystals, and the pairs that it forms."""
        tolerance = 0.0 if self.name == "dense" else FeatureSettings().distance_tolerance
        settings = FeatureSettings(max_sites=max_sites, distance_tolerance=tolerance)
        point_sets = [featurize(crystal, settings) for crystal in crystals]
        if self.name == "dense":
            dense = collate_dense(point_sets)
            return (lambda: DENSE[self.kind](self.model, dense)), dense.real.numel()
        batch = collate(point_sets)
        return (lambda: self.model(batch)), len(batch.distances)

    def step(self, predict: Callable[[], Tensor], targets: Tensor) -> tuple[float, float]:
        """Loss and seconds of one step from the initial weights."""
        self.model.load_state_dict(self.start)
        plain: AbstractContextManager[Any] = nullcontext()
        if self.name == "plain":
            plain = patch.object(KERNELS[self.kind][1], "supports", return_value=False)
        with plain:
            began = time.perf_counter()
            loss = (predict() - targets).abs().mean()
            self.optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimiser.step()
            return loss.item(), time.perf_counter() - began


def sample(case: Case) -> list[Crystal]:
    """Random bundled crystals, the same in every process."""
    crystals = list(CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals())
    return random.Random(0).sample(crystals, case.crystals)


def measure_time(case: Case) -> dict[str, Any]:
    """Seconds a step of each engine, taking turns, and how far their losses differ."""
    torch.set_num_threads(case.threads)
    crystals = sample(case)
    targets = torch.linspace(0, 5, len(crystals))
    engines = [Engine(name, case.kind) for name in ENGINES]
    loaded = {engine.name: engine.load(crystals, case.max_sites) for engine in engines}
    steps: dict[str, list[tuple[float, float]]] = {name: [] for name in ENGINES}
    for _ in range(case.rounds + 1):
        for engine in engines:
            steps[engine.name].append(engine.step(loaded[engine.name][0], targets))
    seconds = {name: min(elapsed for _, elapsed in turns[1:]) for name, turns in steps.items()}
    losses = [loss for turns in steps.values() for loss, _ in turns]
    return {
        "pairs_a_step": {name: n_pairs for name, (_, n_pairs) in loaded.items()},
        "seconds_a_step": seconds,
        "median_seconds_a_step": {name: median(t for _, t in turns[1:]) for name, turns in steps.items()},
        "speedup_over_dense": {name: seconds["dense"] / value for name, value in seconds.items()},
        "loading_over_step": loading_seconds(crystals, case.max_sites) / seconds["kernels"],
        "crystals_per_second": {name: case.crystals / value for name, value in seconds.items()},
        "largest_loss_difference": max(losses) - min(losses),
    }


def loading_seconds(crystals: list[Crystal], max_sites: int) -> float:
    """The least time that it took to collate the crystals."""
    point_sets = [featurize(crystal, FeatureSettings(max_sites=max_sites)) for crystal in crystals]
    moments = [time.perf_counter()]
    for _ in range(5):
        collate(point_sets)
        moments.append(time.perf_counter())
    return min(after - before for before, after in pairwise(moments))


def measure_memory(case: Case, name: str) -> float:
    """Megabytes that steps add to the peak of this process, which must be fresh."""
    torch.set_num_threads(case.threads)
    crystals = sample(case)
    engine = Engine(name, case.kind)
    warm_up, _ = engine.load(crystals[:1], 1)
    engine.step(warm_up, torch.zeros(1))
    predict, _ = engine.load(crystals, case.max_sites)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    engine.step(predict, torch.zeros(len(crystals)))
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def in_fresh_process(function: Callable[..., Any], *arguments: object) -> Any:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def measure(case: Case) -> dict[str, Any]:
    """All figures of one supercell size."""
    memory = {name: in_fresh_process(measure_memory, case, name) for name in ENGINES}
    return {
        "model": case.kind,
        "max_sites": case.max_sites,
        "crystals_a_step": case.crystals,
        "rounds": case.rounds,
        **in_fresh_process(measure_time, case),
        "step_memory_mb": memory,
        "dense_over_kernels_memory": memory["dense"] / memory["kernels"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("results/costs/training.json"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    sizes = ((100, 128), (500, 32))
    cases = [Case(kind, size, n, arguments.rounds, arguments.threads) for kind in KERNELS for size, n in sizes]
    report = {
        "hardware": hardware(),
        "threads": arguments.threads,
        "torch": torch.__version__,
        "compiled_kernels": all(kernels.library(name) for name, _ in KERNELS.values()),
        "parameters": {kind: sum(p.numel() for p in network(kind).parameters()) for kind in KERNELS},
        "cases": [measure(case) for case in cases],
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
