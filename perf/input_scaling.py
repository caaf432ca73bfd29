"""What the inputs of an untrained Site-Net look like to its first layers; writes JSON.

    python perf/input_scaling.py --output perf/results/input_scaling.json

For raw and standardised elemental properties, and for pair inputs as they are and standardised, on bundled crystals in
supercells of 50 sites: the spread of what enters the first layers and of what leaves them, and how many directions the
states of sites and pairs use. The last is the participation ratio of the eigenvalues v of their covariance,
(sum v)^2 / sum v^2: 1 where all states lie on one line. No training: `configs/input_scaling.yaml` shows what it costs.
"""

import argparse
import json
import random
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sitenet.data.table import CrystalTable, bundled_path
from sitenet.features.featurize import featurize
from sitenet.models.base.batch import Batch, collate
from sitenet.models.sitenet.network import SiteNet, pair_features
from sitenet.models.sitenet.settings import SiteNetSettings
from sitenet.settings.features import FeatureSettings


def directions(states: Tensor) -> float:
    """Participation ratio of the covariance of (rows, width) states."""
    variances = torch.linalg.svdvals(states - states.mean(0)) ** 2
    return float(variances.sum() ** 2 / (variances**2).sum())


def spread(states: Tensor) -> float:
    """Root mean square over the columns of their standard deviation over the rows."""
    return float(states.var(0).mean().sqrt())


def standardise_pair_inputs(model: SiteNet, batch: Batch) -> None:
    """Gives the pair layer the weights with which its raw inputs act like standardised ones."""
    inputs, linear = pair_features(batch), model.embedding.pair.linear
    linear.weight.div_(inputs.std(0))
    linear.bias.sub_(linear.weight @ inputs.mean(0))


@torch.no_grad()
def measure(scaling: str, standardised_pairs: bool, batch: Batch) -> dict[str, Any]:
    """Spreads and directions of one network with reproducible weights."""
    torch.manual_seed(0)
    model = SiteNet(SiteNetSettings.model_validate({"elemental_scaling": scaling}))
    if standardised_pairs:
        standardise_pair_inputs(model, batch)
    embedding, entered = model.embedding, {}
    for name, layer in (("site", embedding.site.linear), ("pair", embedding.pair.linear)):
        layer.register_forward_hook(lambda _, given, left, name=name: entered.update({name: (given[0], left)}))
    embedding.pair(pair_features(batch))
    sites, pairs = embedding(batch)
    width = model.settings.embedding_width
    levels, _ = model.run_blocks(batch)
    given, left = entered["site"]
    return {
        "elemental_scaling": scaling,
        "pair_inputs": "standardised" if standardised_pairs else "as they are",
        "spread_of_element_embedding": spread(given[:, :width]),
        "spread_of_properties": spread(given[:, width:-1]),
        "spread_after_first_site_map": spread(left),
        "spread_after_first_pair_map": spread(entered["pair"][1]),
        "directions_of_sites": [directions(states) for states in (sites, *levels)],
        "directions_of_pairs": directions(pairs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("results/costs/input_scaling.json"))
    parser.add_argument("--crystals", type=int, default=160)
    arguments = parser.parse_args()
    crystals = list(CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals())
    chosen = random.Random(0).sample(crystals, arguments.crystals)
    batch = collate([featurize(crystal, FeatureSettings(max_sites=50)) for crystal in chosen])
    cases = [("raw", False), ("standardised", False), ("standardised", True)]
    report = {
        "crystals": arguments.crystals,
        "networks": [measure(scaling, standardised, batch) for scaling, standardised in cases],
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
