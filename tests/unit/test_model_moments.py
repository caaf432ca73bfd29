"""Moments and gated messages of Site-Net with radial attention: exactness, invariance, and their kernels."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn

from sitenet.config.grid import expand_grid
from sitenet.data.crystal import Crystal
from sitenet.errors import UserError
from sitenet.features.featurize import featurize
from sitenet.models.base import gate_kernels, kernels
from sitenet.models.base.batch import Batch, collate
from sitenet.models.base.radial_functions import KNOTS, Places
from sitenet.models.sitenet_radial import moment_kernels
from sitenet.models.sitenet_radial.network import RadialSiteNet
from sitenet.models.sitenet_radial.settings import RadialSiteNetSettings
from sitenet.settings.features import FeatureSettings
from tests.real_crystals import SOME_IDS, crystals, in_other_cell, moved
from tests.unit.cells import close_packing
from tests.unit.test_model_kernels import OTHER_COMPILERS

needs_kernels = pytest.mark.skipif(
    any(kernels.library(module.NAME) is None for module in (gate_kernels, moment_kernels)),
    reason="no C compiler that builds the kernels",
)
FEATURES = FeatureSettings(radius=4.0, moments=3)
BOTH: dict[str, Any] = {"moments": 3, "gate_channels": 128, "cutoff": 4.0, "envelope": True}
CALLS = ["gate_forward", "moments_forward", "moments_backward", "gate_backward"]
OPTIONS: dict[str, dict[str, Any]] = {
    "both": BOTH,
    "degree 1": {"moments": 1, "moment_channels": 16},
    "degree 2": {"moments": 2, "moment_channels": 48},
    "degree 4": {"moments": 4},
    "degree 5": {"moments": 5, "moment_invariants": 7},
    "few gates": {"gate_channels": 16},
}
IDS = sorted(crystals())[::35]
crystal_ids = st.sampled_from(IDS)


def network(**options: Any) -> RadialSiteNet:
    torch.manual_seed(0)
    return RadialSiteNet(RadialSiteNetSettings.model_validate(options))


@cache
def exact_network() -> RadialSiteNet:
    return network(**BOTH).double()


@torch.no_grad()
def predictions(all_crystals: list[Crystal], features: FeatureSettings = FEATURES) -> Tensor:
    batches = [all_crystals[start : start + 20] for start in range(0, len(all_crystals), 20)]
    model = exact_network()
    return torch.cat([model(collate([featurize(c, features) for c in batch], torch.float64)) for batch in batches])


def assert_same_prediction(one: Crystal, other: Crystal) -> None:
    first, second = predictions([one, other])
    torch.testing.assert_close(first, second, rtol=0, atol=1e-5)


@pytest.mark.parametrize("every", [pytest.param(2, marks=pytest.mark.slow), 25])
def test_reduction_changes_nothing(every: int) -> None:
    """With moments a shift of a distance counts in the first order, so that the default tolerance costs more."""
    some = list(crystals().values())[::every]
    reduced = predictions(some, FEATURES.model_copy(update={"distance_tolerance": 2e-5}))
    complete = predictions(some, FEATURES.model_copy(update={"distance_tolerance": 0}))
    torch.testing.assert_close(reduced, complete, rtol=0, atol=1e-5)
    torch.testing.assert_close(predictions(some), complete, rtol=0, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(crystal_ids, st.integers(0, 2**32 - 1))
def test_rotations_and_reflections(crystal_id: str, seed: int) -> None:
    crystal = crystals()[crystal_id]
    turned = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    for orthogonal in (turned, -turned):
        assert_same_prediction(crystal, replace(crystal, lattice=crystal.lattice @ orthogonal))


@settings(max_examples=15, deadline=None)
@given(crystal_ids, st.tuples(*[st.floats(-2, 2)] * 3), st.randoms(use_true_random=False))
def test_origin_and_order_of_sites(crystal_id: str, shift: tuple[float, ...], random: Random) -> None:
    crystal = crystals()[crystal_id]
    assert_same_prediction(crystal, moved(crystal, shift, random))


@settings(max_examples=15, deadline=None)
@given(crystal_ids, st.tuples(*[st.integers(-2, 2)] * 3), st.sampled_from([1, 2]))
def test_choice_of_cell(crystal_id: str, shear: tuple[int, int, int], copies: int) -> None:
    crystal = crystals()[crystal_id]
    assert_same_prediction(crystal, in_other_cell(crystal, shear, copies))


def test_a_stored_crystal_is_as_invariant() -> None:
    """The store keeps moments in float32; in half precision this fails."""
    rng, model = np.random.default_rng(0), exact_network()
    for crystal_id in IDS:
        crystal, found = crystals()[crystal_id], []
        for turned in (np.eye(3), np.linalg.qr(rng.normal(size=(3, 3)))[0]):
            point_set = featurize(replace(crystal, lattice=crystal.lattice @ turned), FEATURES)
            stored = replace(point_set, moments=point_set.moments.astype(np.float32))
            found.append(model(collate([stored], torch.float64)))
        torch.testing.assert_close(*found, rtol=0, atol=1e-6)


def test_angles_count() -> None:
    """Cubic and hexagonal close packings differ in nothing else."""
    packings = [close_packing("ABC"), close_packing("AB")]
    features = FeatureSettings(radius=4.2, moments=3)
    by_angle, by_distance = (
        network(moments=degree).double()(collate([featurize(p, features) for p in packings], torch.float64))
        for degree in (3, 0)
    )
    assert (by_angle[0] - by_angle[1]).abs() > 1e-2
    torch.testing.assert_close(by_distance[0], by_distance[1], rtol=0, atol=1e-9)


@cache
def batch_of_many(degree: int = 5) -> Batch:
    """More pairs than one chunk."""
    features = FeatureSettings(radius=4.5, moments=degree)
    return collate([featurize(crystal, features) for crystal in list(crystals().values())[::5]])


def computed(module: nn.Module, x_ND: Tensor, batch: Batch) -> list[Tensor]:
    """Outputs of a part of a block, and gradients of the sites and all its parameters."""
    x_ND = x_ND.clone().requires_grad_()
    added_ND = module(x_ND, Places.between(KNOTS, torch.exp(-batch.distances / 4)), batch)
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(added_ND.shape, generator=generator, dtype=torch.float64).to(added_ND.dtype)
    return [added_ND, *torch.autograd.grad((added_ND * weights).sum(), [x_ND, *module.parameters()])]


def assert_kernels_agree(options: dict[str, Any], kernel_calls: list[str]) -> None:
    model = network(**options)
    whole = batch_of_many()
    batch = model.within_cutoff(whole)
    exact = model.within_cutoff(replace(whole, distances=whole.distances.double(), moments=whole.moments.double()))
    x_ND = torch.randn(batch.n_sites, model.settings.width)
    parts = {name: part for name, part in model.blocks[0].named_children() if name in ("gate", "moments")}
    assert parts
    for kind, module in parts.items():
        kernel_calls.clear()
        fast = computed(module, x_ND, batch)
        assert kernel_calls == [f"{kind}_forward", f"{kind}_backward"]
        wanted = computed(module.double(), x_ND.double(), exact)
        assert len(kernel_calls) == 2
        for actual, expected in zip(fast, wanted, strict=True):
            assert (actual - expected).abs().max() < 1e-5 * expected.abs().max().clamp(min=1e-2)


@needs_kernels
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_kernels_agree_with_the_formula_in_float64(options: dict[str, Any], kernel_calls: list[str]) -> None:
    assert_kernels_agree(options, kernel_calls)


@needs_kernels
@pytest.mark.parametrize(("command", "built_by"), OTHER_COMPILERS)
def test_other_compilers_agree_with_the_formula(
    command: str, built_by: str, compiler: Callable[[str], None], kernel_calls: list[str]
) -> None:
    compiler(command)
    if not kernels.library(gate_kernels.NAME):
        pytest.skip(f"{command} does not build the kernels, for example for want of OpenMP")
    assert_kernels_agree(BOTH, kernel_calls)


@needs_kernels
def test_results_do_not_depend_on_the_number_of_threads(set_threads: Callable[[int], None]) -> None:
    batch = batch_of_many()
    generator = torch.Generator().manual_seed(0)
    sites = [torch.randn(batch.n_sites, width, generator=generator) for width in (32, 256, 256)]
    tables = [torch.randn(KNOTS, width, generator=generator) for width in (160, 256)]
    places = Places.between(KNOTS, torch.exp(-batch.distances / 4))
    outcomes = []
    for n_threads in (1, 2, 3, 2):
        set_threads(n_threads)
        v, near, far, w, radial = leaves = [tensor.clone().requires_grad_() for tensor in (*sites, *tables)]
        sums = moment_kernels.moment_sums(v, w, batch.moments, places, batch)
        gated = gate_kernels.gated_sums(near, far, radial, places, batch)
        loss = sums.square().sum() + gated.square().sum()
        outcomes.append([sums, gated, *torch.autograd.grad(loss, leaves)])
    for other in outcomes[1:]:
        assert all(torch.equal(one, two) for one, two in zip(outcomes[0], other, strict=True))


@pytest.mark.parametrize("options", [{"moments": 3, "moment_channels": 24}, {"gate_channels": 24}])
def test_sizes_that_the_kernels_do_not_cover_take_the_plain_path(
    options: dict[str, Any], kernel_calls: list[str]
) -> None:
    model = network(**options)
    assert model(collate([featurize(crystals()[id_], FEATURES) for id_ in SOME_IDS])).isfinite().all()
    assert {call.partition("_")[0] for call in kernel_calls} <= {"radial"}
    assert "torch" in model.computed_by()


@pytest.mark.parametrize("kernel_path", [pytest.param(True, marks=needs_kernels), False])
def test_what_is_not_a_number_stays_so(kernel_path: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it reaches the gate of a message alone."""
    if not kernel_path:
        for module in (gate_kernels, moment_kernels):
            monkeypatch.setattr(module, "supports", lambda *_: False)
    batch = collate([featurize(crystals()[id_], FEATURES) for id_ in SOME_IDS])
    damaged = batch.moments.clone()
    damaged[1] = torch.nan
    assert network(**BOTH)(replace(batch, moments=damaged)).isnan().tolist() == [True] + 4 * [False]
    for half in (slice(0, 128), slice(128, 256)):
        model = network(**BOTH)
        with torch.no_grad():
            model.get_parameter("blocks.0.gate.project.weight")[half] = torch.nan
        assert not model(batch).isfinite().any()


def test_autocast_to_bfloat16_stays_close() -> None:
    batch, model = batch_of_many(3), network(**BOTH)
    exact = model(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model(batch)
    assert 0 < (rounded - exact).abs().max() < 0.05 * exact.abs().max().clamp(min=1)


def test_features_of_a_higher_degree_are_read_up_to_the_network_s() -> None:
    """Where the classes are the same, so are the predictions."""
    model, some = network(moments=2).double(), [crystals()[id_] for id_ in SOME_IDS]
    low, high = (
        model(collate([featurize(c, FeatureSettings(radius=4.0, moments=degree)) for c in some], torch.float64))
        for degree in (2, 4)
    )
    torch.testing.assert_close(low, high, rtol=0, atol=1e-6)


def test_features_without_moments_are_refused() -> None:
    grid = [{"model": {"kind": "sitenet_radial", "moments": 3}, "features": {"radius": 4.0, "moments": 2}}]
    with pytest.raises(
        UserError, match=r"grid\.0\.model': moments 3 need as many in the features: features\.moments: 3"
    ):
        expand_grid(grid)
    with pytest.raises(ValueError, match="the network needs moments of degree 3, the features have none"):
        network(moments=3)(collate([featurize(crystals()["mp-252"], FeatureSettings(radius=4.0))]))
