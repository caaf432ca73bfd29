"""Times a training step of cgcnn and schnet against one of sitenet_radial; writes JSON.

    python perf/convolutions.py --output results/costs/convolutions.json

The crystals, the step and what is timed are those of radial_options.py: spheres of 4 angstrom, about 8,000 pairs, one
thread. All networks take turns in one run.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from radial_options import Step, crystals_of_a_step

from sitenet.environment import hardware
from sitenet.models.base.batch import collate

WIDE = {"blocks": 4, "width": 128}  # as sitenet_radial
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "sitenet_radial": ("sitenet_radial", {}),
    "cgcnn": ("cgcnn", {}),
    "schnet": ("schnet", {}),
    "cgcnn, as wide and deep as sitenet_radial": ("cgcnn", WIDE),
    "schnet, as wide and deep as sitenet_radial": ("schnet", WIDE),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("results/costs/convolutions.json"))
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    point_sets = crystals_of_a_step()
    batch, targets = collate(point_sets), torch.linspace(0, 5, len(point_sets))
    steps = {name: Step(options, kind) for name, (kind, options) in NETWORKS.items()}
    turns: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(arguments.rounds + 1):
        for name, step in steps.items():
            turns[name].append(step.seconds(batch, targets))
    seconds = {name: min(times[1:]) for name, times in turns.items()}
    report = {
        "hardware": hardware(),
        "torch": torch.__version__,
        "computed_by": {name: step.model.computed_by() for name, step in steps.items()},
        "crystals_a_step": len(point_sets),
        "pairs_a_step": len(batch.distances),
        "parameters": {name: sum(p.numel() for p in step.model.parameters()) for name, step in steps.items()},
        "seconds_a_step": seconds,
        "crystals_a_second": {name: len(point_sets) / value for name, value in seconds.items()},
        "rate_over_sitenet_radial": {name: seconds["sitenet_radial"] / value for name, value in seconds.items()},
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
