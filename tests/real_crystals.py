"""Real crystals of the bundled data set, featurized for tests of the network."""

from functools import cache

import torch
from torch import Tensor

from sitenet.data.crystal import Crystal
from sitenet.data.table import CrystalTable, bundled_path
from sitenet.features.featurize import featurize
from sitenet.features.point_set import PointSet
from sitenet.models.sitenet.network import SiteNet
from sitenet.settings.features import FeatureSettings
from tests.oracle import predict

# 3, 7, 2, 10 and 9 primitive sites; mp-252 and mp-1315 have the smallest cells of the reference cases.
SOME_IDS = ("mp-22965", "mp-4730", "mp-252", "mp-23048", "mp-3042")


@cache
def crystals() -> dict[str, Crystal]:
    """All bundled crystals by id."""
    return {crystal.id: crystal for crystal in CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals()}


@cache
def point_set(crystal_id: str, max_sites: int, reduced: bool = True) -> PointSet:
    """Features of a bundled crystal, with or without pair reduction."""
    settings = FeatureSettings(max_sites=max_sites)
    if not reduced:
        settings = settings.model_copy(update={"distance_tolerance": 0.0})
    return featurize(crystals()[crystal_id], settings)


def some_point_sets(max_sites: int = 50, reduced: bool = True) -> list[PointSet]:
    """Features of a handful of crystals."""
    return [point_set(crystal_id, max_sites, reduced) for crystal_id in SOME_IDS]


def oracle_prediction(model: SiteNet, unreduced: PointSet) -> Tensor:
    """The oracle's prediction from a model's own parameters, so that gradients reach them."""
    z, n_sites = torch.tensor(unreduced.atomic_numbers, dtype=torch.long), len(unreduced.atomic_numbers)
    distances = torch.tensor(unreduced.distances).reshape(n_sites, -1)
    far = torch.tensor(unreduced.pair_sites)[: distances.shape[1]]
    return predict(dict(model.named_parameters()), model.settings, z, far, distances)
