"""CGCNN and SchNet on point sets: against the published equations, exact reductions, and what must not change them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor
from torch.nn.functional import softplus

from sitenet.config.grid import expand_grid
from sitenet.data.crystal import Crystal
from sitenet.errors import UserError
from sitenet.features.featurize import featurize
from sitenet.features.point_set import PointSet
from sitenet.models.base.batch import collate
from sitenet.models.base.convolution import ConvolutionNetwork
from sitenet.models.base.radial_functions import KNOTS
from sitenet.models.registry import model_kinds
from sitenet.settings.features import FeatureSettings
from tests.real_crystals import SOME_IDS, crystals, in_other_cell, moved, some_point_sets

KINDS = ("cgcnn", "schnet")
SPHERE = FeatureSettings(radius=4.0)
FADED: dict[str, Any] = {"cutoff": 4.0, "envelope": True}
OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "one small block": {"blocks": 1, "width": 16, "hidden_width": 5, "radial_functions": 6},
    "cut-off": {"width": 16, "cutoff": 4.0},
    "envelope": {"width": 16, **FADED},
    "other inputs": {"width": 16, "radial_length": 2.0, "elemental_properties": ("MendeleevNumber", "NpUnfilled")},
}
Weights = Mapping[str, Tensor]  # by name
Pairs = Sequence[tuple[int, float, float]]  # far site, exp(-d / length), weight
IDS = sorted(crystals())[::35]
crystal_ids = st.sampled_from(IDS)


def network(kind: str, **options: Any) -> ConvolutionNetwork:
    """A network whose normalisations and biases are not trivial."""
    torch.manual_seed(0)
    found = model_kinds()[kind]
    model: ConvolutionNetwork = found.build(found.settings.model_validate(options), False)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def gradients(model: ConvolutionNetwork, predictions: Tensor) -> dict[str, Tensor]:
    """Gradient of a sum with different weights for each crystal."""
    model.zero_grad()
    (predictions * torch.arange(1.0, len(predictions) + 1)).sum().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def interpolated(table_KF: Tensor, u: float) -> Tensor:
    """(F,) values between the equidistant knots from 0 to 1."""
    knot = min(int(u * (KNOTS - 1)), KNOTS - 2)
    share = u * (KNOTS - 1) - knot
    return (1 - share) * table_KF[knot] + share * table_KF[knot + 1]


def gaussians(n: int) -> Tensor:
    return torch.stack(
        [torch.exp(-((torch.linspace(0, 1, KNOTS) - k / (n - 1)) ** 2) * (n - 1) ** 2 / 2) for k in range(n)], dim=1
    ).double()


def ssp(x: Tensor) -> Tensor:
    return torch.log(0.5 * x.exp() + 0.5)


def cgcnn_update(w: Weights, block: str, x: Tensor, i: int, pairs: Pairs) -> Tensor:
    """softplus(x_i + LN(sum of sigmoid(z W + b) softplus(z V + c))) with z = [x_i, x_j, e(d)], as published."""
    D, table = x.shape[1], gaussians(w[f"{block}.radial.mix.weight"].shape[1])
    of_near, of_far = w[f"{block}.project.weight"].chunk(2)
    weight = torch.cat([of_near, of_far, w[f"{block}.radial.mix.weight"]], dim=1)
    total = torch.zeros(D, dtype=x.dtype)
    for j, u, count in pairs:
        z = torch.cat([x[i], x[j], interpolated(table, u)])
        gate, core = (weight @ z + w[f"{block}.radial.mix.bias"]).split(D)
        total = total + count * torch.sigmoid(gate) * softplus(core)
    centred = total - total.mean()
    normed = centred / (centred.square().mean() + 1e-5).sqrt() * w[f"{block}.norm.weight"] + w[f"{block}.norm.bias"]
    return softplus(x[i] + normed)


def schnet_update(w: Weights, block: str, x: Tensor, i: int, pairs: Pairs) -> Tensor:
    """Interaction block: atom-wise, cfconv, atom-wise, ssp, atom-wise, and the residual, as published."""

    def dense(name: str, value: Tensor) -> Tensor:
        return value @ w[f"{block}.{name}.weight"].T + w[f"{block}.{name}.bias"]

    table = gaussians(w[f"{block}.filter.layers.0.weight"].shape[1])
    filter_KD = ssp(dense("filter.layers.2", ssp(dense("filter.layers.0", table))))
    total = torch.zeros(x.shape[1], dtype=x.dtype)
    for j, u, count in pairs:
        total = total + count * (w[f"{block}.project.weight"] @ x[j]) * interpolated(filter_KD, u)
    return x[i] + dense("out.2", ssp(dense("out.0", total)))


def published(model: ConvolutionNetwork, sites: PointSet) -> Tensor:
    """The equations of the papers for one crystal, site by site and pair by pair, without any reduction."""
    w, s = dict(model.named_parameters()), model.settings
    z = torch.tensor(sites.atomic_numbers.astype(int))
    x = w["element.weight"][z] + model.properties[z] @ w["describe.weight"].T + w["describe.bias"]
    starts = np.concatenate([[0], np.cumsum(sites.row_counts)])
    neighbours = []
    for i in range(len(z)):
        pairs = []
        row = slice(starts[i], starts[i + 1])
        for j, d in zip(sites.pair_sites[row], sites.distances[row], strict=True):
            if d > 0 and (s.cutoff is None or d <= s.cutoff):
                fade = (1 - (d / s.cutoff) ** 2) ** 2 if s.envelope else 1.0
                pairs.append((int(j), float(np.exp(-d / s.radial_length)), float(fade)))
        neighbours.append(pairs)
    update = cgcnn_update if s.kind == "cgcnn" else schnet_update
    for b in range(s.blocks):
        x = torch.stack([update(w, f"blocks.{b}", x, i, pairs) for i, pairs in enumerate(neighbours)])
    activation = softplus if s.kind == "cgcnn" else ssp
    first, last = ("read_out.1", "read_out.3") if s.kind == "cgcnn" else ("read_out.0", "read_out.2")
    if s.kind == "cgcnn":
        x = softplus(x.mean(0, keepdim=True))
    hidden = activation(x @ w[f"{first}.weight"].T + w[f"{first}.bias"])
    return (hidden @ w[f"{last}.weight"].T + w[f"{last}.bias"]).mean()


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
@pytest.mark.parametrize("kind", KINDS)
def test_network_agrees_with_the_published_equations(kind: str, options: dict[str, Any]) -> None:
    model = network(kind, **options).double()
    features = SPHERE if options.get("envelope") else FeatureSettings(max_sites=20)
    unreduced = features.model_copy(update={"distance_tolerance": 0.0})
    some = [crystals()[id_] for id_ in ("mp-252", "mp-22965", "mp-4730")]
    expected = torch.stack([published(model, featurize(crystal, unreduced)) for crystal in some])
    wanted = gradients(model, expected)
    for settings_, tolerance in ((unreduced, 1e-7), (features, 1e-5)):
        predictions = model(collate([featurize(crystal, settings_) for crystal in some], torch.float64))
        torch.testing.assert_close(predictions, expected, rtol=tolerance, atol=tolerance)
        for name, gradient in gradients(model, predictions).items():
            largest = max(wanted[name].abs().max().item(), 1e-3)
            assert (gradient - wanted[name]).abs().max() < 100 * tolerance * largest, name


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_gets_a_gradient(kind: str) -> None:
    model = network(kind)
    found = gradients(model, model(collate(some_point_sets())))
    assert found.keys() == dict(model.named_parameters()).keys()
    assert all(gradient.isfinite().all() and gradient.abs().max() > 0 for gradient in found.values())


@pytest.mark.parametrize("features", [FeatureSettings(max_sites=1), FeatureSettings(max_sites=100), SPHERE], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_reduction_changes_nothing(kind: str, features: FeatureSettings) -> None:
    model, some = network(kind).double(), [crystals()[id_] for id_ in (*SOME_IDS, *IDS)]
    complete = features.model_copy(update={"distance_tolerance": 0.0})
    batches = [collate([featurize(crystal, each) for crystal in some], torch.float64) for each in (features, complete)]
    if features.max_sites != 1:
        assert 1.2 * len(batches[0].distances) < len(batches[1].distances)
    reduced, whole = (model(batch) for batch in batches)
    torch.testing.assert_close(reduced, whole, rtol=0, atol=1e-5)
    one, other = gradients(model, reduced), gradients(model, whole)
    for name, gradient in one.items():
        torch.testing.assert_close(gradient, other[name], rtol=1e-3, atol=1e-4, msg=name)


@cache
def exact_networks() -> list[ConvolutionNetwork]:
    return [network(kind, **FADED).double() for kind in KINDS]


def assert_same_predictions(*same: Crystal) -> None:
    batch = collate([featurize(crystal, SPHERE) for crystal in same], torch.float64)
    with torch.no_grad():
        for model in exact_networks():
            predictions = model(batch)
            torch.testing.assert_close(predictions, predictions[:1].expand(len(same)), rtol=0, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(crystal_ids, st.integers(0, 2**32 - 1))
def test_rotations_and_reflections(crystal_id: str, seed: int) -> None:
    crystal = crystals()[crystal_id]
    turned = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    assert_same_predictions(crystal, *(replace(crystal, lattice=crystal.lattice @ q) for q in (turned, -turned)))


@settings(max_examples=15, deadline=None)
@given(crystal_ids, st.tuples(*[st.floats(-2, 2)] * 3), st.randoms(use_true_random=False))
def test_origin_and_order_of_sites(crystal_id: str, shift: tuple[float, ...], random: Random) -> None:
    crystal = crystals()[crystal_id]
    assert_same_predictions(crystal, moved(crystal, shift, random))


@settings(max_examples=15, deadline=None)
@given(crystal_ids, st.tuples(*[st.integers(-2, 2)] * 3), st.sampled_from([1, 2]))
def test_choice_of_cell(crystal_id: str, shear: tuple[int, int, int], copies: int) -> None:
    crystal = crystals()[crystal_id]
    assert_same_predictions(crystal, in_other_cell(crystal, shear, copies))


@pytest.mark.parametrize("kind", KINDS)
def test_a_site_does_not_see_itself_but_its_images(kind: str) -> None:
    """The first block of a crystal of one site is told the distance to the nearest image alone."""
    model, crystal = network(kind, blocks=1).double(), Crystal("", 3 * np.eye(3), np.array([11]), np.zeros((1, 3)))
    sites = featurize(crystal, FeatureSettings(radius=3.5))
    alone = replace(crystal, lattice=20 * np.eye(3))
    predictions = [model(collate([s], torch.float64)) for s in (sites, featurize(alone, FeatureSettings(radius=3.5)))]
    batch = collate([sites], torch.float64)
    assert sorted(batch.distances.tolist()) == pytest.approx([0, 3])
    without = model(batch.select_pairs(batch.distances > 0))
    torch.testing.assert_close(predictions[0], without, rtol=0, atol=1e-12)
    assert predictions[1].isfinite().all()
    assert (predictions[0] - predictions[1]).abs() > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_that_stay_and_count_nothing_change_nothing(kind: str) -> None:
    """On a GPU the pairs that are not seen stay in the batch."""
    near, all_pairs = (network(kind, **options).double() for options in ({"cutoff": 3.0}, {}))
    batch = collate(some_point_sets(), torch.float64)
    counts = batch.pair_counts * near.seen(batch)
    assert (counts == 0).sum() > 300
    torch.testing.assert_close(all_pairs(replace(batch, pair_counts=counts)), near(batch), rtol=0, atol=1e-10)
    assert (all_pairs(batch) - near(batch)).abs().min() > 1e-4


def test_sizes_are_the_published_ones() -> None:
    for kind, hidden in (("cgcnn", 128), ("schnet", 32)):
        sizes = {"blocks": 3, "width": 64, "hidden_width": hidden}
        assert network(kind).settings.model_dump().items() >= sizes.items()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("model", "features", "reason"),
    [
        ({"envelope": True}, {"radius": 4.0}, "envelope needs a cutoff, the distance at which it is zero"),
        (FADED, {"radius": 3.9}, r"features\.radius of at least 4$"),
        ({"heads": 8}, {}, r"model\.heads' is unknown"),
        ({"blocks": 0}, {}, "model.blocks' has the value 0"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_one_line(kind: str, model: dict, features: dict, reason: str) -> None:
    with pytest.raises(UserError, match=reason) as error:
        expand_grid([{"model": {"kind": kind, **model}, "features": features}])
    assert "\n" not in str(error.value)
