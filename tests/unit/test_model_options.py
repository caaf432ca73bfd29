"""Every option of Site-Net against the plain oracle, forward and backward, on real crystals."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from sitenet.data.crystal import Crystal
from sitenet.features.elements import elemental_properties
from sitenet.features.featurize import featurize
from sitenet.features.point_set import PointSet
from sitenet.models.base.batch import collate
from sitenet.models.sitenet.network import SiteNet
from sitenet.models.sitenet.settings import SiteNetSettings
from sitenet.settings.features import FeatureSettings
from tests.real_crystals import SOME_IDS, oracle_prediction, point_set, some_point_sets

SMALL = {"site_width_per_head": 6, "pair_width_per_head": 4, "attention_hidden": (20,), "pooled_width": 10}
OPTIONS = {
    "paper": {},
    "small": SMALL,
    "one head": {**SMALL, "heads": 1},
    "five heads": {**SMALL, "heads": 5},
    "one block": {**SMALL, "blocks": 1},
    "four blocks": {**SMALL, "blocks": 4},
    "widths": {**SMALL, "value_width": 7, "embedding_width": 5, "head_hidden": (11, 13)},
    "no hidden layer in the head": {**SMALL, "head_hidden": ()},
    "several hidden attention layers": {**SMALL, "attention_hidden": (20, 12, 9)},
    "relu": {**SMALL, "activation": "relu"},
    "silu": {**SMALL, "activation": "silu"},
    "no normalisation": {"normalisation": False, "elemental_properties": ("Electronegativity",)},
    "one-hot elements": {**SMALL, "element_input": "one_hot"},
    "other elemental properties": {**SMALL, "elemental_properties": ("MendeleevNumber", "NpUnfilled")},
    "no elemental properties": {**SMALL, "elemental_properties": ()},
    "standardised elemental properties": {**SMALL, "elemental_scaling": "standardised"},
    "max pooling": {**SMALL, "pooling": "max"},
    "cut-off 5 angstrom": {"cutoff": 5.0},
    "cut-off below every bond": {**SMALL, "cutoff": 0.1},
    "cut-off beyond the supercell": {**SMALL, "cutoff": 1000.0},
    "top 1": {**SMALL, "top_k": 1},
    "top 7": {"top_k": 7},
    "top more than all": {**SMALL, "top_k": 10_000},
    "top 7 within 5 angstrom": {**SMALL, "top_k": 7, "cutoff": 5.0},
}


def network(**options: object) -> SiteNet:
    """A float64 network whose normalisations are not trivial."""
    torch.manual_seed(0)
    model = SiteNet(SiteNetSettings.model_validate(options)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def gradients(model: SiteNet, predictions: Tensor) -> dict[str, Tensor]:
    """Gradient of a sum with different weights for each crystal."""
    model.zero_grad()
    (predictions * torch.arange(1, len(predictions) + 1)).sum().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def oracle(model: SiteNet, unreduced: list[PointSet]) -> Tensor:
    return torch.stack([oracle_prediction(model, sites) for sites in unreduced])


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_option_agrees_with_the_oracle(options: dict[str, object]) -> None:
    model = network(**options)
    for reduced, tolerance in ((False, 1e-9), (True, 1e-6)):
        predictions = model(collate(some_point_sets(30, reduced), torch.float64))
        expected = oracle(model, some_point_sets(30, reduced=False))
        torch.testing.assert_close(predictions, expected, rtol=tolerance, atol=tolerance)
        actual, wanted = gradients(model, predictions), gradients(model, expected)
        assert actual.keys() == {name for name in wanted if f"blocks.{model.settings.blocks - 1}.pair" not in name}
        for name, gradient in actual.items():
            largest = max(wanted[name].abs().max().item(), 1e-3)
            assert (gradient - wanted[name]).abs().max() < 10 * tolerance * largest, name


@pytest.mark.parametrize("max_sites", [1, 50, 100])
def test_any_supercell_agrees_with_the_oracle(max_sites: int) -> None:
    model = network()
    predictions = model(collate(some_point_sets(max_sites), torch.float64))
    expected = oracle(model, some_point_sets(max_sites, reduced=False))
    torch.testing.assert_close(predictions, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 2e-5)])
def test_random_crystals_agree_with_the_oracle(dtype: torch.dtype, tolerance: float) -> None:
    random = np.random.default_rng(0)
    crystals = [random_crystal(random, n_sites) for n_sites in (1, 2, 3, 5, 8)]
    model = network().to(dtype)
    sets = [featurize(crystal, FeatureSettings(max_sites=40)) for crystal in crystals]
    predictions = model(collate(sets, dtype))
    actual = gradients(model, predictions)
    unreduced = FeatureSettings(max_sites=40, distance_tolerance=0)
    expected = oracle(model.double(), [featurize(crystal, unreduced) for crystal in crystals])
    torch.testing.assert_close(predictions.double(), expected, rtol=tolerance, atol=tolerance)
    for name, wanted in gradients(model, expected).items():
        if name in actual:
            largest = max(wanted.abs().max().item(), 1e-3)
            assert (actual[name] - wanted).abs().max() < 10 * tolerance * largest, name


def random_crystal(random: np.random.Generator, n_sites: int) -> Crystal:
    lattice = 4 * np.eye(3) + random.uniform(-1, 1, (3, 3))
    return Crystal("random", lattice, random.integers(1, 90, n_sites), random.random((n_sites, 3)))


def test_options_change_the_prediction() -> None:
    batch = collate(some_point_sets(), torch.float64)
    plain = network(**SMALL)(batch)
    for options in ({"cutoff": 3.0}, {"top_k": 3}, {"pooling": "max"}):
        assert (network(**SMALL, **options)(batch) - plain).abs().max() > 1e-6, options


def test_attention_of_a_row_sums_to_one_and_is_zero_beyond_the_cutoff() -> None:
    batch = collate(some_point_sets(), torch.float64)
    for alpha in network(**SMALL, cutoff=4.0).attention(batch):
        assert (alpha[batch.distances > 4] == 0).all()
        assert (alpha[batch.distances <= 4] > 0).all()
        sums = torch.zeros(batch.n_sites, alpha.shape[1], dtype=torch.float64).index_add(0, batch.pair_i, alpha)
        torch.testing.assert_close(sums, torch.ones_like(sums))


def test_clamp_passes_the_gradient_straight_through() -> None:
    batch = collate(some_point_sets())
    for non_negative in (True, False):
        torch.manual_seed(0)
        model = SiteNet(SiteNetSettings.model_validate(SMALL), non_negative)
        model.output.bias.data.fill_(-100.0)
        predictions = model(batch)
        predictions.sum().backward()
        assert model.output.bias.grad == len(SOME_IDS)
        assert (predictions == 0).all() if non_negative else (predictions < -90).all()


def test_prediction_is_scaled_back_to_the_unit_of_the_target() -> None:
    batch = collate(some_point_sets(), torch.float64)
    model = network(**SMALL)
    raw = model(batch)
    model.scale.target_mean.fill_(2.5)
    model.scale.target_std.fill_(1.5)
    torch.testing.assert_close(model(batch), 2.5 + 1.5 * raw)
    assert {"scale.target_mean", "scale.target_std"} <= model.state_dict().keys()


def test_unknown_elemental_property_is_named() -> None:
    with pytest.raises(ValueError, match=r"unknown elemental properties \['Charm'\].*Electronegativity"):
        elemental_properties(["Charm"])


def test_element_without_properties_is_refused_with_its_crystal() -> None:
    sites = point_set("mp-252", 1)
    bad = replace(sites, atomic_numbers=sites.atomic_numbers.astype(int) + 117)
    with pytest.raises(ValueError, match=r"mp-252 has atomic numbers outside 1\.\.118"):
        collate([point_set("mp-4730", 1), bad])
    with pytest.raises(ValueError, match="at least one crystal"):
        collate([])
