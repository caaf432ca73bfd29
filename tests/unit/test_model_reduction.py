"""Predictions with and without pair reduction, on more than 500 real crystals of every supercell size.

The network has the reference's weights, which are far from any symmetry and spread its predictions over several eV.
"""

import pytest
import torch

from sitenet.features.featurize import featurize
from sitenet.models.base.batch import collate
from sitenet.models.sitenet.network import SiteNet
from sitenet.settings.features import FeatureSettings
from tests.real_crystals import crystals
from tests.reference.values import reference_network

EVERY_SECOND = list(crystals())[::2]


@torch.inference_mode()
def predictions(model: SiteNet, settings: FeatureSettings) -> torch.Tensor:
    point_sets = [featurize(crystals()[id_], settings) for id_ in EVERY_SECOND]
    return torch.cat([model(collate([point_set], torch.float64)) for point_set in point_sets])


@pytest.mark.parametrize("max_sites", [50, 100, pytest.param(500, marks=pytest.mark.slow)])
def test_reduction_changes_no_prediction(max_sites: int) -> None:
    assert len(EVERY_SECOND) == 528
    model, settings = reference_network(torch.float64), FeatureSettings(max_sites=max_sites)
    reduced = predictions(model, settings)
    complete = predictions(model, settings.model_copy(update={"distance_tolerance": 0.0}))
    deviation = (reduced - complete).abs().max().item()
    print(f"{max_sites} sites: largest deviation {deviation:.1e} eV over {len(reduced)} crystals")
    assert reduced.std() > 0.5
    assert deviation < 1e-6
