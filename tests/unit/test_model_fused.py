"""The compiled kernels against the plain formula, forward and backward."""

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from sitenet.models.base import kernels
from sitenet.models.base.batch import Batch, collate
from sitenet.models.sitenet import kernels as fused
from sitenet.models.sitenet.network import SiteNet
from sitenet.models.sitenet.settings import SiteNetSettings
from tests.real_crystals import batch_of_many_chunks, crystals, point_set, some_point_sets
from tests.unit.test_model_kernels import OTHER_COMPILERS

needs_kernels = pytest.mark.skipif(
    kernels.library("sitenet/kernels") is None, reason="no C compiler that builds the kernels"
)
OPTIONS: dict[str, dict[str, Any]] = {
    "paper": {},
    "one block": {"blocks": 1},
    "four blocks": {"blocks": 4},
    "one head": {"heads": 1},
    "five heads": {"heads": 5},
    "widths": {"value_width": 17, "attention_hidden": (70,), "site_width_per_head": 7},
    "widths without padding": {"value_width": 32, "attention_hidden": (64,), "pair_width_per_head": 32},
    "cut-off": {"cutoff": 4.0},
    "sites": {
        "element_input": "one_hot",
        "elemental_properties": ("MendeleevNumber", "NpUnfilled"),
        "elemental_scaling": "standardised",
        "embedding_width": 20,
        "descriptor": "chgnet",
    },
    "read-out": {"pooling": "max", "pooled_width": 20, "head_hidden": (30,)},
}


def network(options: dict[str, object]) -> SiteNet:
    torch.manual_seed(0)
    model = SiteNet(SiteNetSettings.model_validate(options))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def run(model: SiteNet, batch: Batch) -> tuple[Tensor, list[Tensor], dict[str, Tensor]]:
    """Predictions, attention and gradients."""
    model.zero_grad()
    predictions = model(batch)
    (predictions * torch.arange(1.0, len(predictions) + 1)).sum().backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return predictions.detach(), model.attention(batch), gradients


def batch_of_many() -> Batch:
    """More pairs than one chunk, crystals of 1 to 500 sites, any descriptors."""
    many = [point_set(crystal_id, 60) for crystal_id in sorted(crystals())[::50]]
    batch = collate([point_set("mp-252", 1), *many, point_set("mp-19308", 500), *some_point_sets(100)])
    return replace(batch, descriptors=torch.randn(batch.n_sites, 64, generator=torch.Generator().manual_seed(0)))


def test_every_setting_is_known_and_compared_with_the_formula() -> None:
    """A new setting fails here until someone decides what it means for the kernels."""
    assert fused.KNOWN.keys() == SiteNetSettings.model_fields.keys()
    computed = {name for name, values in fused.KNOWN.items() if values is None}
    assert {name for options in OPTIONS.values() for name in options} == computed - {"kind"}


@needs_kernels
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_kernels_agree_with_the_formula_in_float64(options: dict[str, object], kernel_calls: list[str]) -> None:
    assert_kernels_agree(options, kernel_calls)


@needs_kernels
@pytest.mark.parametrize(("command", "built_by"), OTHER_COMPILERS)
def test_other_compilers_and_options_agree_with_the_formula(
    command: str, built_by: str, compiler: Callable[[str], None], kernel_calls: list[str]
) -> None:
    compiler(command)
    if not kernels.library("sitenet/kernels"):
        pytest.skip(f"{command} does not build the kernels, for example for want of OpenMP")
    assert re.search(built_by, network({}).computed_by())
    assert_kernels_agree({}, kernel_calls)


def assert_kernels_agree(options: dict[str, object], kernel_calls: list[str]) -> None:
    """Predictions, attention and gradients of the network against the formula in float64."""
    batch, model = batch_of_many(), network(options)
    predictions, attention, gradients = run(model, batch)
    assert kernel_calls.count("fused_backward") == model.settings.blocks + 1  # and the embedding of pairs
    exact = run(model.double(), collate_like(batch))
    largest = exact[0].abs().max().item()
    torch.testing.assert_close(predictions.double(), exact[0], rtol=0, atol=2e-6 * largest)
    for alpha, expected in zip(attention, exact[1], strict=True):
        torch.testing.assert_close(alpha.double(), expected, rtol=0, atol=1e-5)
    assert gradients.keys() == exact[2].keys()
    for name, gradient in gradients.items():
        largest = max(exact[2][name].abs().max().item(), 1e-3)
        assert (gradient - exact[2][name]).abs().max() < 1e-4 * largest, name


def collate_like(batch: Batch) -> Batch:
    """The same batch with its float32 numbers in float64."""
    return replace(batch, distances=batch.distances.double(), descriptors=batch.descriptors.double())


@needs_kernels
def test_results_do_not_depend_on_the_number_of_threads(set_threads: Callable[[int], None]) -> None:
    """Of the kernels alone: matrix products of torch may differ in the last bits."""
    batch = batch_of_many_chunks()
    assert len(kernels.chunk_rows(batch, fused.CHUNK_PAIRS, fused.MAX_CHUNKS)) > 30
    one, *others = [outputs_and_gradients(batch, set_threads, n) for n in (1, 2, 3, 2)]
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def outputs_and_gradients(batch: Batch, set_threads: Callable[[int], None], n_threads: int) -> list[Tensor]:
    """What the kernels give for random inputs with the paper's widths, and the gradient of every input."""
    set_threads(n_threads)
    generator, widths = torch.Generator().manual_seed(0), [225, 30, 48]
    n_sites, n_pairs, padded = batch.n_sites, len(batch.distances), 240 + 32 + 48
    shapes = [(n_sites, padded), (n_sites, padded), (n_pairs, 48), (padded, 48), (3, 240), (3,), (48,), (48,)]
    leaves = [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]
    mixed, pairs, alpha = fused._PairAttention.apply(*leaves, batch, widths)
    return [mixed, pairs, alpha, *torch.autograd.grad(mixed.square().sum() + pairs.square().sum(), leaves)]


def test_training_twice_gives_the_same_weights_bit_for_bit(set_threads: Callable[[int], None]) -> None:
    set_threads(3)
    batch = batch_of_many()

    def trained() -> list[Tensor]:
        model = network({})
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, amsgrad=True)
        for _ in range(3):
            optimiser.zero_grad()
            model(batch).abs().mean().backward()
            optimiser.step()
        return list(model.parameters())

    assert all(torch.equal(a, b) for a, b in zip(trained(), trained(), strict=True))


def test_without_a_compiler_the_plain_path_gives_the_same(
    compiler: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    compiler("no-such-compiler")
    batch, model = collate(some_point_sets(100)), network({})
    with caplog.at_level(logging.WARNING):
        predictions, _, gradients = run(model, batch)
    assert "no compiled kernels" in caplog.text
    assert model.computed_by() == "torch"
    exact = run(model.double(), collate_like(batch))
    torch.testing.assert_close(predictions.double(), exact[0], rtol=0, atol=1e-5)
    assert gradients.keys() == exact[2].keys()


@needs_kernels
@pytest.mark.parametrize(
    "options",
    [
        {"activation": "silu"},
        {"normalisation": False},
        {"top_k": 5},
        {"attention_hidden": (30, 20)},
        {"heads": 1, "pair_width_per_head": 10},
        {"value_width": 4000},
    ],
    ids=str,
)
def test_other_options_take_the_plain_path(options: dict[str, object]) -> None:
    model = network(options)
    sites = torch.zeros(1, 90)
    assert not fused.supports(model.settings, sites)
    assert fused.supports(SiteNetSettings(), sites)
    assert not fused.supports(SiteNetSettings(), sites.double())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not fused.supports(SiteNetSettings(), sites)
        assert network({}).computed_by() == "torch"
    assert model.computed_by() == network({}).double().computed_by() == "torch"
    assert network({}).computed_by() == kernels.built_by("sitenet/kernels")
    assert model(collate(some_point_sets())).isfinite().all()
