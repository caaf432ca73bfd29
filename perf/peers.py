"""Times training of our networks and of MEGNet of the package matgl on the same crystals; writes JSON.

    python -m venv megnet && megnet/bin/pip install -r examples/megnet/requirements.txt
    python perf/peers.py --python megnet/bin/python --output results/costs/peers.json

Crystals and steps of ours are those of radial_options.py, spheres of 4 angstrom and one thread. MEGNet has the same
cut-off and is trained by the code of examples/megnet, in batches of 64, in the environment of `--python`. What counts
is processor time, of the fastest of some rounds. Features are timed apart: they are computed once.
"""

import argparse
import gzip
import json
import os
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from pymatgen.core import Structure
from radial_options import RADIUS, Step, compared, crystals_of_a_step, write

from sitenet.data.crystal import Crystal
from sitenet.data.table import CrystalTable, bundled_path
from sitenet.features.featurize import featurize
from sitenet.settings.features import FeatureSettings

EXAMPLE = Path(__file__).parents[1] / "examples" / "megnet"
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "sitenet_radial": ("sitenet_radial", {}),
    "sitenet": ("sitenet", {}),
    "cgcnn": ("cgcnn", {}),
}
# What the other environment runs: seconds a crystal of the graphs, and of a training step.
THEIRS = """
import json, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from train import Part, graphs_of
from matgl.models import MEGNet
work, cutoff = Path(sys.argv[1]), float(sys.argv[2])
began = time.process_time()
graphs, elements = graphs_of(work / "structures.json.gz", cutoff)
featurizing = (time.process_time() - began) / len(graphs)
part, model, best = Part(work / "train.csv", graphs), MEGNet(element_types=elements, cutoff=cutoff), float("inf")
optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)
for _ in range(4):
    began = time.process_time()
    for start in range(0, len(part.ids), 64):
        some = list(range(start, min(start + 64, len(part.ids))))
        optimiser.zero_grad()
        (part.predict(model, some) - part.targets[some]).abs().mean().backward()
        optimiser.step()
    best = min(best, (time.process_time() - began) / len(part.ids))
print(json.dumps({"features": featurizing, "training": best}))
"""


def theirs(python: Path, crystals: list[Crystal]) -> dict[str, float]:
    """Seconds a crystal of MEGNet."""
    with TemporaryDirectory() as folder:
        work = Path(folder)
        structures = {
            crystal.id: Structure(crystal.lattice, crystal.atomic_numbers.tolist(), crystal.frac_coords).as_dict()
            for crystal in crystals
        }
        (work / "structures.json.gz").write_bytes(gzip.compress(json.dumps(structures).encode()))
        rows = "".join(f"{crystal.id},{number % 5}\n" for number, crystal in enumerate(crystals))
        (work / "train.csv").write_text("id,target\n" + rows, encoding="utf-8")
        command = [str(python.absolute()), "-W", "ignore", "-c", THEIRS, str(work), str(RADIUS)]
        alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(command, cwd=EXAMPLE, check=True, capture_output=True, encoding="utf-8", env=alone)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--python", type=Path, required=True, help="interpreter of an environment with matgl")
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
    found = theirs(arguments.python, crystals)
    rates = report["crystals_a_second"]
    rates["MEGNet of matgl"] = 1 / found["training"]
    report["rate_over_sitenet_radial"]["MEGNet of matgl"] = rates["MEGNet of matgl"] / rates["sitenet_radial"]
    report["features_milliseconds_a_crystal"] = {"sitenet": 1000 * ours, "MEGNet of matgl": 1000 * found["features"]}
    write(report, arguments.output)


if __name__ == "__main__":
    main()
