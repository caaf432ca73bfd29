"""Times a training step of sitenet_radial with each of its options against one without any; writes JSON.

    python perf/radial_options.py --output results/costs/radial_options.json

A step is forward, backward, gradient clipping and AdamW on bundled crystals in spheres of 4 angstrom, as many crystals
as reach 8,000 pairs, on one thread. All networks read the same features, with moments of degree 4, and take turns in
one run. What counts is processor time, of the fastest step of each: the one least disturbed by other work.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from sitenet.data.table import CrystalTable, bundled_path
from sitenet.environment import hardware
from sitenet.features.featurize import featurize
from sitenet.features.point_set import PointSet
from sitenet.models.base.batch import Batch, collate
from sitenet.models.base.network import Network
from sitenet.models.registry import model_kinds
from sitenet.settings.features import FeatureSettings

RADIUS, PAIRS = 4.0, 8_000
ENVELOPE = {"cutoff": RADIUS, "envelope": True}
OPTIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "envelope": ENVELOPE,
    "moments 1..2": {**ENVELOPE, "moments": 2},
    "moments 1..3": {**ENVELOPE, "moments": 3},
    "moments 1..4": {**ENVELOPE, "moments": 4},
    "gate": {**ENVELOPE, "gate_channels": 128},
    "moments 1..3 and gate": {**ENVELOPE, "moments": 3, "gate_channels": 128},
}


class Step:
    """A network with its optimiser."""

    def __init__(self, options: dict[str, Any], kind: str = "sitenet_radial"):
        torch.manual_seed(0)
        found = model_kinds()[kind]
        self.model: Network = found.build(found.settings.model_validate(options), False)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=1e-4, weight_decay=0.02, fused=True)

    def seconds(self, batch: Batch, targets: Tensor) -> float:
        """Processor time of one step."""
        began = time.process_time()
        self.optimiser.zero_grad()
        (self.model(batch) - targets).abs().mean().backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        return time.process_time() - began


def crystals_of_a_step() -> list[PointSet]:
    """Every second bundled crystal, until there are enough pairs."""
    features = FeatureSettings(radius=RADIUS, moments=4)
    chosen: list[PointSet] = []
    for number, crystal in enumerate(CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals()):
        if number % 2 == 0 and sum(len(sites.distances) for sites in chosen) < PAIRS:
            chosen.append(featurize(crystal, features))
    return chosen


def compared(steps: Mapping[str, Step], point_sets: Sequence[PointSet], reference: str, rounds: int) -> dict[str, Any]:
    """What the steps of some networks take, which take turns, and their rates over that of one of them."""
    batch, targets = collate(point_sets), torch.linspace(0, 5, len(point_sets))
    turns: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 1):
        for name, step in steps.items():
            turns[name].append(step.seconds(batch, targets))
    seconds = {name: min(times[1:]) for name, times in turns.items()}
    return {
        "hardware": hardware(),
        "torch": torch.__version__,
        "computed_by": {name: step.model.computed_by() for name, step in steps.items()},
        "crystals_a_step": len(point_sets),
        "pairs_a_step": len(batch.distances),
        "parameters": {name: sum(p.numel() for p in step.model.parameters()) for name, step in steps.items()},
        "seconds_a_step": seconds,
        "median_seconds_a_step": {name: median(times[1:]) for name, times in turns.items()},
        "crystals_a_second": {name: len(point_sets) / value for name, value in seconds.items()},
        f"rate_over_{reference}": {name: seconds[reference] / value for name, value in seconds.items()},
    }


def write(report: dict[str, Any], path: Path) -> None:
    """Writes and shows a report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("results/costs/radial_options.json"))
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    steps = {name: Step(options) for name, options in OPTIONS.items()}
    write(compared(steps, crystals_of_a_step(), "none", arguments.rounds), arguments.output)


if __name__ == "__main__":
    main()
