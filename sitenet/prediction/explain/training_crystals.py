"""The training crystals that are most like a crystal to the network that predicts it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.formula import standard_formula
from sitenet.data.manifest import Manifest, Splits
from sitenet.data.table import CrystalTable
from sitenet.errors import UserError
from sitenet.failures import FAILURES, read_failures
from sitenet.features.elements import standardised_properties
from sitenet.features.featurize import featurize
from sitenet.features.point_set import PointSet
from sitenet.features.shard import FeatureManifest
from sitenet.models.base.batch import collate
from sitenet.models.base.network import AttentionNetwork
from sitenet.models.base.segments import segment_mean
from sitenet.prediction.predictor import Predictor
from sitenet.settings.elements import PAPER_PROPERTIES
from sitenet.training.training_data import read_fold, subset

SHORTLIST, NEAREST = 200, 8
BAR: Any = {"unit": " crystals", "leave": False, "disable": None}  # shown where someone watches
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Neighbour:
    """A training crystal.

    Attributes:
        id: Its id in the data set.
        formula: Its reduced formula.
        n_sites: Sites of its cell, as given.
        target: Its target, in the unit of the data set.
        distance: Distance of the pooled states, in standard deviations of the shortlist.
    """

    id: str
    formula: str
    n_sites: int
    target: float
    distance: float


def nearest_training_crystals(
    predictor: Predictor, point_set: PointSet, crystal: Crystal, data: Path
) -> list[Neighbour]:
    """The crystals of the network's training part that are nearest by its pooled state, nearest first.

    Of all of them, the `SHORTLIST` with the most similar composition are featurized: by the mean and the spread over
    sites of standardised elemental properties. These are ordered by the distance of the means over sites of the
    states that the network pools, each component divided by its standard deviation over the shortlist.

    Args:
        predictor: The network.
        point_set: Features of the crystal.
        crystal: The crystal.
        data: Folder of the data set, `results/data/<name>`, that the network was trained on.

    Raises:
        UserError: The folder is not one of a data set, is damaged, or is not what the network was trained on.
    """
    targets = _training_targets(predictor, data)
    found = _shortlist(predictor, crystal, data, targets)
    states = _pooled(predictor, [point_set, *(features for _, features in found)])
    spread = states[1:].std(axis=0)
    distances = np.linalg.norm((states[1:] - states[0]) / np.where(spread > 0, spread, 1), axis=1)
    distances /= np.sqrt(states.shape[1])
    return [
        Neighbour(
            one.id,
            standard_formula(one.atomic_numbers.tolist()),
            len(one.atomic_numbers),
            float(targets[one.id]),
            float(distances[place]),
        )
        for place, one in ((place, found[place][0]) for place in np.argsort(distances, kind="stable")[:NEAREST])
    ]


def _shortlist(
    predictor: Predictor, crystal: Crystal, data: Path, targets: "pd.Series[float]"
) -> list[tuple[Crystal, PointSet]]:
    """The crystals with targets whose composition is most similar, with their features."""
    properties = standardised_properties(PAPER_PROPERTIES)
    own = _composition(properties[crystal.atomic_numbers])
    table = CrystalTable.open(data / "structures.parquet")
    wanted, far = [], []
    for one in tqdm(table.crystals(), "comparing with training crystals", len(table), **BAR):
        if one.id in targets.index:
            wanted.append(one)
            far.append(np.linalg.norm(_composition(properties[one.atomic_numbers]) - own))
    found: list[tuple[Crystal, PointSet]] = []
    with tqdm(desc="featurizing the most similar", total=min(SHORTLIST, len(wanted)), **BAR) as progress:
        for place in np.argsort(far, kind="stable"):
            try:
                found.append((wanted[place], featurize(wanted[place], predictor.trial.features)))
            except BadCrystal:  # it was in no batch of the training either
                continue
            progress.update()
            if len(found) == SHORTLIST:
                break
    return found


def _training_targets(predictor: Predictor, data: Path) -> "pd.Series[float]":
    """Targets by id of the crystals that the network learnt from."""
    description, settings = predictor.description, predictor.trial.training
    manifest = Manifest.read(data / "manifest.json", check=["structures.parquet"])
    if manifest.structures_sha256 != description.data_checksum:
        raise UserError(f"--training {data}: the network was trained on other data than {manifest.name} there")
    part = f"folds/fold{description.key.fold}/train.parquet"
    Splits.read(data / "splits.json", check=[part])
    table, _, checksum = read_fold(data / part, settings.other_targets)
    if checksum != description.fold_checksum:
        raise UserError(f"--training {data}: the network learnt from other crystals than those of its fold there")
    train = table[table["part"] == "train"]
    if settings.max_crystals is not None:
        failed = {failure.id for failure in read_failures(_features(predictor, data) / FAILURES)}
        with_features = train.loc[~train["id"].isin(failed), "id"]
        train = train[train["id"].isin(subset(with_features, settings.max_crystals, description.key.seed))]
    return train.set_index("id")["target"]


def _features(predictor: Predictor, data: Path) -> Path:
    """The folder of the network's features: its subset was drawn from the crystals that have them."""
    folder = data.resolve().parents[1] / "features" / data.resolve().name / predictor.trial.feature_id
    FeatureManifest.read(folder / "manifest.json", check=[FAILURES])
    return folder


def _composition(properties: Floats) -> Floats:
    """Mean and spread over sites of (N, F) properties."""
    return np.concatenate([properties.mean(axis=0), properties.std(axis=0)])


@torch.inference_mode()
def _pooled(predictor: Predictor, point_sets: list[PointSet]) -> Floats:
    """(C, F) means over sites of the states that the network pools."""
    network, rows = predictor.model, []
    assert isinstance(network, AttentionNetwork)
    for point_set in point_sets:
        batch = collate([point_set], torch.float32).to(predictor.device)
        rows.append(segment_mean(network.site_states(batch), batch.site_counts, batch.site_crystal, 1))
    return torch.cat(rows).double().cpu().numpy()
