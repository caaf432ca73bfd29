"""Times a training step of cgcnn and schnet against one of sitenet_radial; writes JSON.

    python perf/convolutions.py --output results/costs/convolutions.json

The crystals, the step and what is timed are those of radial_options.py: spheres of 4 angstrom, about 8,000 pairs, one
thread. All networks take turns in one run.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from radial_options import Step, compared, crystals_of_a_step, write

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
    steps = {name: Step(options, kind) for name, (kind, options) in NETWORKS.items()}
    write(compared(steps, crystals_of_a_step(), "sitenet_radial", arguments.rounds), arguments.output)


if __name__ == "__main__":
    main()
