"""Real crystals of the bundled data set, featurized for tests of the network."""

from dataclasses import replace
from functools import cache
from random import Random

import numpy as np
import torch
from torch import Tensor

from sitenet.data.crystal import Crystal
from sitenet.data.table import CrystalTable, bundled_path
from sitenet.features.featurize import featurize
from sitenet.features.point_set import PointSet
from sitenet.models.base.batch import Batch, collate
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


def moved(crystal: Crystal, shift: tuple[float, ...], random: Random) -> Crystal:
    """The same crystal with another origin and its sites in another order."""
    order = random.sample(range(len(crystal.atomic_numbers)), len(crystal.atomic_numbers))
    frac_coords = (crystal.frac_coords + np.array(shift))[order]
    return replace(crystal, atomic_numbers=crystal.atomic_numbers[order], frac_coords=frac_coords)


def in_other_cell(crystal: Crystal, shear: tuple[int, int, int], copies: int) -> Crystal:
    """The same crystal in a sheared cell that holds it `copies` times."""
    matrix = np.eye(3, dtype=int)
    matrix[[0, 0, 1], [1, 2, 2]] = shear
    matrix[2] *= copies
    frac_coords = np.concatenate([crystal.frac_coords + np.array([0, 0, n]) for n in range(copies)])
    numbers = np.tile(crystal.atomic_numbers, copies)
    return Crystal(crystal.id, matrix @ crystal.lattice, numbers, frac_coords @ np.linalg.inv(matrix))


def some_point_sets(max_sites: int = 50, reduced: bool = True) -> list[PointSet]:
    """Features of a handful of crystals."""
    return [point_set(crystal_id, max_sites, reduced) for crystal_id in SOME_IDS]


def batch_of_many_chunks() -> Batch:
    """Enough pairs that several threads have whole crystals to work on."""
    return collate([point_set(crystal_id, 100) for crystal_id in sorted(crystals())[::8]])


def oracle_prediction(model: SiteNet, unreduced: PointSet) -> Tensor:
    """The oracle's prediction from a model's own parameters, so that gradients reach them."""
    z, n_sites = torch.tensor(unreduced.atomic_numbers, dtype=torch.long), len(unreduced.atomic_numbers)
    distances = torch.tensor(unreduced.distances).reshape(n_sites, -1)
    far = torch.tensor(unreduced.pair_sites)[: distances.shape[1]]
    return predict(dict(model.named_parameters()), model.settings, z, far, distances)
