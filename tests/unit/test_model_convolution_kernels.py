"""The kernels of CGCNN's convolution, and both convolutional networks in every precision."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch.nn.functional import softplus

from sitenet.features.featurize import featurize
from sitenet.models.base import gate_kernels, kernels
from sitenet.models.base.batch import Batch, collate
from sitenet.models.base.radial_functions import KNOTS, Places
from sitenet.settings.features import FeatureSettings
from tests.real_crystals import crystals, point_set, some_point_sets
from tests.unit.test_model_convolutions import FADED, KINDS, network
from tests.unit.test_model_kernels import OTHER_COMPILERS

needs_kernels = pytest.mark.skipif(
    kernels.library(gate_kernels.NAME) is None, reason="no C compiler that builds the kernels"
)


@cache
def batch_of_many() -> Batch:
    """More pairs than one chunk."""
    return collate([featurize(crystal, FeatureSettings(radius=4.5)) for crystal in list(crystals().values())[::5]])


def assert_kernels_agree(options: dict[str, Any], kernel_calls: list[str]) -> None:
    """A convolution against the formula in float64, forward and backward."""
    model = network("cgcnn", **options)
    batch, module = model.within_cutoff(batch_of_many()), model.blocks[0]
    exact = model.within_cutoff(replace(batch_of_many(), distances=batch_of_many().distances.double()))
    x_ND = torch.randn(batch.n_sites, model.settings.width)
    outcomes = []
    for each, x, dtype in ((batch, x_ND, torch.float32), (exact, x_ND.double(), torch.float64)):
        x, module = x.clone().requires_grad_(), module.to(dtype)
        new = module(x, Places.between(KNOTS, torch.exp(-each.distances / 4)), each)
        weights = torch.randn(new.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
        outcomes.append([new, *torch.autograd.grad((new * weights).sum(), [x, *module.parameters()])])
        assert kernel_calls == ["gate_forward", "gate_backward"]
    for actual, wanted in zip(*outcomes, strict=True):
        assert (actual - wanted).abs().max() < 1e-5 * wanted.abs().max().clamp(min=1e-2)


@needs_kernels
@pytest.mark.parametrize("options", [{}, {"width": 16}, {"width": 128, **FADED}], ids=str)
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
    assert_kernels_agree({}, kernel_calls)


@needs_kernels
def test_softplus_of_the_kernels_is_exact_far_from_zero() -> None:
    """Of one pair with a gate that is open: from underflow to where softplus is the identity."""
    x = torch.cat([torch.linspace(-80, 80, 2001), torch.linspace(-2, 2, 2015)]).reshape(-1, 16)
    batch = collate([point_set("mp-252", 1)])
    batch = batch.select_pairs(torch.arange(len(batch.distances)) == 0)
    places = Places.between(KNOTS, torch.exp(-batch.distances))
    for row in x:
        near = torch.zeros(batch.n_sites, 32)
        near[:, 16:], near[:, :16] = row, 20.0
        sums = gate_kernels.gated_sums(near, torch.zeros_like(near), torch.zeros(KNOTS, 32), places, batch, soft=True)
        exact = softplus(row.double(), threshold=1000)
        torch.testing.assert_close(sums[0].double(), exact * batch.pair_counts[0], rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize(("width", "covered"), [(64, True), (24, False)])
def test_a_width_that_the_kernels_do_not_cover_takes_the_plain_path(width: int, covered: bool) -> None:
    model = network("cgcnn", width=width)
    assert (model.computed_by() == "torch") == (not covered or kernels.library(gate_kernels.NAME) is None)
    assert model.double().computed_by() == "torch"
    assert network("schnet", width=width).computed_by() == "torch"


@pytest.mark.parametrize("kernel_path", [pytest.param(True, marks=needs_kernels), False])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_a_number_stays_so(kind: str, kernel_path: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not kernel_path:
        monkeypatch.setattr(gate_kernels, "supports", lambda *_: False)
    batch, model = collate(some_point_sets()), network(kind)
    damaged = batch.distances.clone()
    damaged[1] = torch.nan
    assert model(replace(batch, distances=damaged)).isnan().tolist() == [True] + 4 * [False]
    with torch.no_grad():
        model.get_parameter("blocks.0.project.weight")[:5] = torch.nan
    assert not model(batch).isfinite().any()


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_to_bfloat16_stays_close(kind: str) -> None:
    batch, model = batch_of_many(), network(kind)
    exact = model(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model(batch)
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().max() < 0.05 * exact.abs().max().clamp(min=1)
