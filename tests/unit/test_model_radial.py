"""Site-Net with radial attention: against the dense formula, its kernels, and what must not change it."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from sitenet.config.benchmark import Benchmark
from sitenet.errors import UserError
from sitenet.features.featurize import featurize
from sitenet.features.point_set import PointSet
from sitenet.models.base import kernels
from sitenet.models.base.batch import Batch, collate
from sitenet.models.base.radial_functions import KNOTS, Places
from sitenet.models.registry import default_model
from sitenet.models.sitenet_radial import kernels as radial_kernels
from sitenet.models.sitenet_radial.network import RadialAttention, RadialSiteNet
from sitenet.models.sitenet_radial.settings import RadialSiteNetSettings
from sitenet.settings.features import FeatureSettings
from tests.real_crystals import SOME_IDS, batch_of_many_chunks, crystals, point_set, some_point_sets
from tests.unit import test_model_moments
from tests.unit.test_model_kernels import OTHER_COMPILERS

needs_kernels = pytest.mark.skipif(
    kernels.library("sitenet_radial/kernels") is None, reason="no C compiler that builds the kernels"
)
SMALL: dict[str, Any] = {"width": 16, "hidden_width": 20, "heads": 4, "radial_functions": 6}
OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "small": SMALL,
    "one block": {**SMALL, "blocks": 1},
    "one head": {**SMALL, "heads": 1},
    "two heads": {**SMALL, "heads": 2, "width": 48},
    "keys as they are": {**SMALL, "filter_keys": False},
    "cut-off": {"cutoff": 4.0},
    "envelope": {"cutoff": 4.0, "envelope": True},
    "longer radial functions": {**SMALL, "radial_length": 10.0},
    "more on sites": {**SMALL, "hidden_width": 40, "radial_functions": 9, "dropout": 0.5},
    "other elemental properties": {**SMALL, "elemental_properties": ("MendeleevNumber", "NpUnfilled")},
    "descriptor": {**SMALL, "descriptor": "chgnet"},
}


def network(options: dict[str, Any]) -> RadialSiteNet:
    torch.manual_seed(0)
    return RadialSiteNet(RadialSiteNetSettings.model_validate(options))


def batch_of_many() -> Batch:
    """More pairs than one chunk, crystals of 1 to 500 sites."""
    many = [point_set(crystal_id, 60) for crystal_id in sorted(crystals())[::50]]
    return collate([point_set("mp-252", 1), *many, point_set("mp-19308", 500), *some_point_sets(100)])


def in_float64(batch: Batch) -> Batch:
    return replace(batch, distances=batch.distances.double())


def gradients(model: RadialSiteNet, predictions: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    (predictions * torch.arange(1.0, len(predictions) + 1)).sum().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def dense_attention(module: RadialAttention, x_PD: Tensor, sites: PointSet, length: float) -> Tensor:
    """The equations in the docstring of `RadialAttention`, head by head over all pairs of one crystal."""
    n_sites, (D, H) = len(x_PD), (x_PD.shape[1], module.heads)
    distances_PS = torch.tensor(sites.distances).reshape(n_sites, -1)
    far_S = torch.tensor(sites.pair_sites.astype(int))[: distances_PS.shape[1]]
    u_PS = torch.exp(-distances_PS / length)
    knots_K = torch.linspace(0, 1, KNOTS, dtype=torch.float64)
    below_PS = (torch.searchsorted(knots_K, u_PS.contiguous(), right=True) - 1).clamp(max=KNOTS - 2)
    share_PS1 = ((u_PS - knots_K[below_PS]) * (KNOTS - 1))[:, :, None]
    table_KF = module.radial()
    radial_PSF = table_KF[below_PS] * (1 - share_PS1) + table_KF[below_PS + 1] * share_PS1
    q_PD, k_PD, v_PD = module.project(x_PD).split(D, dim=1)
    mixed_PD = torch.zeros_like(x_PD)
    for head in range(H):
        own = slice(head, None, H)
        values_PSW = (1 + radial_PSF[:, :, :D][:, :, own]) * v_PD[far_S][:, own]
        keys_PSW = k_PD[far_S][:, own].expand(n_sites, -1, -1)
        if radial_PSF.shape[2] > D + H:
            keys_PSW = (1 + radial_PSF[:, :, D : 2 * D][:, :, own]) * keys_PSW
        products_PS = torch.einsum("pw,psw->ps", q_PD[:, own], keys_PSW)
        logits_PS = products_PS / (D / H) ** 0.5 + radial_PSF[:, :, head - H]
        mixed_PD[:, own] = torch.einsum("ps,psw->pw", logits_PS.softmax(dim=1), values_PSW)
    return module.out(mixed_PD)


@pytest.mark.parametrize("options", ["default", "small", "one head", "keys as they are"])
def test_attention_agrees_with_the_dense_formula(options: str) -> None:
    model = network(OPTIONS[options]).double()
    module = cast(RadialAttention, model.blocks[0].attention)
    for sites in some_point_sets(30, reduced=False):
        batch, x_ND = collate([sites], torch.float64), torch.randn(len(sites.atomic_numbers), model.settings.width)
        length = model.settings.radial_length
        places = Places.between(KNOTS, torch.exp(-batch.distances / length))
        mixed_ND, _ = module(x_ND.double(), places, batch)
        torch.testing.assert_close(mixed_ND, dense_attention(module, x_ND.double(), sites, length), rtol=0, atol=1e-10)


@pytest.mark.parametrize("max_sites", [1, 50, 100])
def test_reduction_changes_nothing(max_sites: int) -> None:
    model = network({}).double()
    reduced, complete = (model(collate(some_point_sets(max_sites, r), torch.float64)) for r in (True, False))
    torch.testing.assert_close(reduced, complete, rtol=0, atol=1e-5)
    one, other = gradients(model, reduced), gradients(model, complete)
    for name, gradient in one.items():
        torch.testing.assert_close(gradient, other[name], rtol=1e-3, atol=1e-5, msg=name)


def test_all_reductions_shorten_the_batch() -> None:
    reduced, complete = (collate(some_point_sets(50, reduced)) for reduced in (True, False))
    assert 2 * len(reduced.distances) < len(complete.distances)


def assert_kernels_agree(model: RadialSiteNet, kernel_calls: list[str]) -> None:
    """The attention of a block against the formula in float64, forward and backward.

    Of the block alone: where two sites are about equally high, rounding decides which one pooling takes.
    """
    batch = model.within_cutoff(batch_of_many())
    module = cast(RadialAttention, model.blocks[0].attention)
    x_ND = torch.randn(batch.n_sites, model.settings.width)
    fast = attended(module, x_ND, batch, model.settings.radial_length)
    assert kernel_calls == ["radial_forward", "radial_backward"]
    exact = attended(module.double(), x_ND.double(), in_float64(batch), model.settings.radial_length)
    for actual, wanted in zip(fast, exact, strict=True):
        assert (actual - wanted).abs().max() < 1e-5 * wanted.abs().max().clamp(min=1e-2)


def attended(module: RadialAttention, x_ND: Tensor, batch: Batch, length: float) -> list[Tensor]:
    """Outputs, and gradients of the sites and all parameters."""
    x_ND = x_ND.clone().requires_grad_()
    mixed_ND, alpha_EH = module(x_ND, Places.between(KNOTS, torch.exp(-batch.distances / length)), batch)
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(mixed_ND.shape, generator=generator, dtype=torch.float64).to(mixed_ND.dtype)
    return [mixed_ND, alpha_EH, *torch.autograd.grad((mixed_ND * weights).sum(), [x_ND, *module.parameters()])]


def test_every_setting_is_known_and_compared_with_the_formula() -> None:
    """A new setting fails here until someone decides what it means for the kernels."""
    assert radial_kernels.KNOWN.keys() == RadialSiteNetSettings.model_fields.keys()
    compared = [*OPTIONS.values(), *test_model_moments.OPTIONS.values()]
    assert {name for options in compared for name in options} == radial_kernels.KNOWN.keys() - {"kind"}


@needs_kernels
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_kernels_agree_with_the_formula_in_float64(options: dict[str, Any], kernel_calls: list[str]) -> None:
    assert_kernels_agree(network(options), kernel_calls)


@needs_kernels
def test_every_block_goes_through_the_kernels(kernel_calls: list[str]) -> None:
    batch, model = batch_of_many(), network({})
    predictions = model(batch)
    gradients(model, predictions)
    assert kernel_calls == ["radial_forward"] * 4 + ["radial_backward"] * 4
    exact = model.double()(in_float64(batch))
    torch.testing.assert_close(predictions.double(), exact, rtol=0, atol=1e-5)


@needs_kernels
def test_results_do_not_depend_on_the_number_of_threads(set_threads: Callable[[int], None]) -> None:
    """Of the kernels alone: matrix products of torch may differ in the last bits."""
    batch = batch_of_many_chunks()
    assert len(kernels.chunk_rows(batch, kernels.CHUNK_PAIRS, kernels.MAX_CHUNKS)) > 10
    generator = torch.Generator().manual_seed(0)
    shapes = [(batch.n_sites, 128)] * 3 + [(KNOTS, 128), (KNOTS, 128), (KNOTS, 8)]
    inputs = [torch.randn(shape, generator=generator) for shape in shapes]
    places = Places.between(KNOTS, torch.exp(-batch.distances / 4))
    outcomes = []
    for n_threads in (1, 2, 3, 2):
        set_threads(n_threads)
        leaves = [tensor.clone().requires_grad_() for tensor in inputs]
        q, k, v, f, g, b = leaves
        mixed, alpha = radial_kernels.radial_attention(q, k, v, f, g, b, places, batch)
        outcomes.append([mixed, alpha, *torch.autograd.grad(mixed.square().sum(), leaves)])
    for other in outcomes[1:]:
        assert all(torch.equal(one, two) for one, two in zip(outcomes[0], other, strict=True))


@pytest.mark.parametrize(
    ("heads", "width", "covered"), [(8, 128, True), (1, 16, True), (3, 48, False), (16, 128, False), (8, 72, False)]
)
def test_sizes_that_the_kernels_do_not_cover_take_the_plain_path(heads: int, width: int, covered: bool) -> None:
    sites = torch.zeros(2, width)
    assert radial_kernels.supports(heads, sites) == (covered and kernels.library("sitenet_radial/kernels") is not None)
    assert not radial_kernels.supports(heads, sites.double())
    model = network({**SMALL, "heads": heads, "width": width})
    assert (model.computed_by() == "torch") == (not radial_kernels.supports(heads, sites))
    assert model.double().computed_by() == "torch"
    assert model.float()(collate(some_point_sets())).isfinite().all()


@pytest.mark.parametrize("kernel_path", [pytest.param(True, marks=needs_kernels), False])
def test_autocast_to_bfloat16_stays_close(
    kernel_path: bool, kernel_calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, model = batch_of_many(), network({})
    exact = model(batch)
    kernel_calls.clear()
    if not kernel_path:
        monkeypatch.setattr(radial_kernels, "supports", lambda *_: False)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        predictions = model(batch)
    assert kernel_calls == ["radial_forward"] * 4 * kernel_path
    assert predictions.dtype == torch.float32
    assert 0 < (predictions - exact).abs().max() < 0.05 * exact.abs().max().clamp(min=1)
    assert all(gradient.isfinite().all() for gradient in gradients(model, predictions).values())


def test_attention_of_a_row_sums_to_one_and_is_zero_beyond_the_cutoff() -> None:
    batch = collate(some_point_sets(), torch.float64)
    for alpha in network({"cutoff": 4.0}).double().attention(batch):
        assert (alpha[batch.distances > 4] == 0).all()
        assert (alpha[batch.distances <= 4] > 0).all()
        sums = torch.zeros(batch.n_sites, alpha.shape[1], dtype=torch.float64).index_add(0, batch.pair_i, alpha)
        torch.testing.assert_close(sums, torch.ones_like(sums))


def test_places_are_exact_for_straight_lines_and_at_the_ends() -> None:
    u = torch.tensor([0.0, 1e-9, 0.3, 0.5, 1 - 1e-7, 1.0], dtype=torch.float64)
    knots = torch.linspace(0, 1, KNOTS, dtype=torch.float64)[:, None]
    values = Places.between(KNOTS, u).of(torch.cat([2 * knots + 1, -knots], dim=1))
    torch.testing.assert_close(values, torch.stack([2 * u + 1, -u], dim=1), rtol=0, atol=1e-12)


def test_a_prediction_depends_on_distances_beyond_the_nearest() -> None:
    sites = point_set("mp-4730", 50)
    moved = replace(sites, distances=sites.distances * (1 + 0.1 * (sites.distances > 4)))
    model = network({}).double()
    near, far = (model(collate([s], torch.float64)) for s in (sites, moved))
    assert (near - far).abs() > 1e-6


def test_dropout_acts_in_training_alone() -> None:
    batch, model, plain = collate(some_point_sets()), network({**SMALL, "dropout": 0.5}), network(SMALL)
    assert not torch.equal(model(batch), model(batch))
    assert torch.equal(model.eval()(batch), plain.eval()(batch))


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    grid = [{"model": {"kind": "sitenet_radial", "width": 100, "heads": 8}}]
    dataset = {"source": "bundled", "name": "mp_dielectric_gap"}
    with pytest.raises(UserError, match="width 100 is not a multiple of heads 8"):
        Benchmark({"dataset": dataset, "splits": {"kind": "holdout"}, "grid": grid})


@pytest.mark.parametrize("kernel_path", [pytest.param(True, marks=needs_kernels), False])
def test_what_is_not_a_number_stays_so(kernel_path: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged distance or an overflow must end in a loss that is not finite, never in a silent number."""
    if not kernel_path:
        monkeypatch.setattr(radial_kernels, "supports", lambda *_: False)
    batch, model = collate(some_point_sets()), network({})
    damaged = batch.distances.clone()
    damaged[1] = torch.nan
    assert model(replace(batch, distances=damaged)).isnan().tolist() == [True] + 4 * [False]
    with torch.no_grad():
        cast(RadialAttention, model.blocks[0].attention).project.weight.mul_(1e30)
    assert not model(batch).isfinite().any()


@pytest.mark.parametrize(("command", "built_by"), OTHER_COMPILERS)
@needs_kernels
def test_other_compilers_and_options_agree_with_the_formula(
    command: str, built_by: str, compiler: Callable[[str], None], kernel_calls: list[str]
) -> None:
    compiler(command)
    if not kernels.library("sitenet_radial/kernels"):
        pytest.skip(f"{command} does not build the kernels, for example for want of OpenMP")
    model = network({})
    assert re.search(built_by, model.computed_by())
    assert_kernels_agree(model, kernel_calls)


@pytest.mark.parametrize("kind", ["sitenet", "sitenet_radial"])
def test_reduction_changes_nothing_within_a_radius(kind: str) -> None:
    torch.manual_seed(0)
    model = default_model(kind, False).double()
    predictions = []
    for tolerance in (1e-4, 0):
        features = FeatureSettings(radius=5.0, distance_tolerance=tolerance)
        point_sets = [featurize(crystals()[id_], features) for id_ in SOME_IDS]
        predictions.append(model(collate(point_sets, torch.float64)))
    torch.testing.assert_close(predictions[0], predictions[1], rtol=0, atol=1e-5)


def test_a_site_that_sees_only_itself() -> None:
    batch = collate(some_point_sets())
    model = network({"cutoff": 0.1})
    assert model(batch).isfinite().all()
    for alpha in model.attention(batch):
        assert ((alpha == 1) == (batch.distances == 0)[:, None]).all()
