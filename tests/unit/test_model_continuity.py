"""With an envelope, predictions are continuous functions of the structure."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sitenet.config.grid import expand_grid
from sitenet.errors import UserError
from sitenet.features.featurize import featurize
from sitenet.models.base.batch import collate
from sitenet.models.base.radial_network import envelope
from sitenet.models.sitenet_radial import kernels as radial_kernels
from sitenet.models.sitenet_radial.network import RadialSiteNet
from sitenet.models.sitenet_radial.settings import RadialSiteNetSettings
from sitenet.settings.features import FeatureSettings
from tests.real_crystals import SOME_IDS, crystals

RADIUS = 4.0
STEP = 0.001  # angstrom, of the longest lattice vector


def strained_predictions(crystal_id: str, options: dict[str, Any], features: FeatureSettings) -> Tensor:
    """Predictions of a crystal that is stretched step by step from 97 to 103 % of its size."""
    torch.manual_seed(0)
    model = RadialSiteNet(RadialSiteNetSettings.model_validate(options)).double()
    crystal = crystals()[crystal_id]
    lengths = np.linalg.norm(crystal.lattice, axis=1)
    scales = np.arange(0.97, 1.03, STEP / lengths.max())
    strained = [replace(crystal, lattice=crystal.lattice * scale) for scale in scales]
    with torch.no_grad():
        return model(collate([featurize(s, features) for s in strained], torch.float64))


def largest_jump(predictions: Tensor) -> float:
    """The largest change from one step to the next, in units of the median one."""
    changes = predictions.diff().abs()
    return float(changes.max() / changes.median())


@pytest.mark.parametrize("crystal_id", ["mp-252", "mp-984", "mp-4730", "mp-23048"])
def test_no_step_of_a_strained_crystal_makes_a_prediction_jump(crystal_id: str) -> None:
    features, blocks = FeatureSettings(radius=RADIUS, moments=3), {"blocks": 2, "cutoff": RADIUS}
    for options in ({}, {"moments": 3, "gate_channels": 128}):
        faded = strained_predictions(crystal_id, {**blocks, "envelope": True, **options}, features)
        assert largest_jump(faded) < 50
    assert largest_jump(strained_predictions(crystal_id, blocks, features)) > 50


def test_the_envelope_is_flat_at_the_cutoff() -> None:
    distances = torch.tensor([0.0, 2.0, 4.0 - 1e-4, 4.0, 4.1], dtype=torch.float64, requires_grad=True)
    weights = envelope(distances, 4.0)
    (slopes,) = torch.autograd.grad(weights.sum(), distances)
    assert weights.tolist() == pytest.approx([1, 0.5625, 0, 0, 0], abs=1e-8)
    assert slopes.tolist()[2:] == pytest.approx([0, 0, 0], abs=1e-3)


def test_a_pair_exactly_at_the_cutoff_has_no_weight() -> None:
    model = RadialSiteNet(RadialSiteNetSettings(cutoff=RADIUS, envelope=True))
    crystal = replace(crystals()["mp-252"], lattice=np.eye(3) * RADIUS)
    batch = collate([featurize(crystal, FeatureSettings(radius=RADIUS))])
    assert (batch.distances == RADIUS).any()
    assert model(batch).isfinite().all()
    for alpha in model.attention(batch):
        assert ((alpha == 0) == (batch.distances == RADIUS)[:, None]).all()


def test_kernels_and_torch_fade_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"cutoff": RADIUS, "envelope": True}
    torch.manual_seed(0)
    model = RadialSiteNet(RadialSiteNetSettings.model_validate(options))
    batch = collate([featurize(crystals()[id_], FeatureSettings(radius=RADIUS)) for id_ in SOME_IDS])
    fast = model(batch)
    monkeypatch.setattr(radial_kernels, "supports", lambda *_: False)
    torch.testing.assert_close(fast, model(batch), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "features", "reason"),
    [
        ({"envelope": True}, {"radius": 4.0}, "envelope needs a cutoff, the distance at which it is zero"),
        ({"envelope": True, "cutoff": 4.0}, {"radius": 3.9}, r"features\.radius of at least 4$"),
        ({"envelope": True, "cutoff": 4.0}, {}, r"grid\.0\.model': envelope needs all pairs up to its cutoff"),
    ],
)
def test_an_envelope_that_would_not_be_continuous_is_refused(model: dict, features: dict, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        expand_grid([{"model": {"kind": "sitenet_radial", **model}, "features": features}])
