"""The compiled kernels against the plain formula, forward and backward."""

import logging
from collections.abc import Iterator
from typing import cast

import pytest
import torch
from torch import Tensor

from sitenet.models.base import kernels
from sitenet.models.base.batch import Batch, collate
from sitenet.models.sitenet import kernels as fused
from sitenet.models.sitenet.network import AttentionBlock, SiteNet
from sitenet.models.sitenet.settings import SiteNetSettings
from tests.real_crystals import crystals, point_set, some_point_sets

needs_kernels = pytest.mark.skipif(kernels.library("fused") is None, reason="no C compiler that builds fused.c")
OPTIONS = {
    "paper": {},
    "one block": {"blocks": 1},
    "four blocks": {"blocks": 4},
    "one head": {"heads": 1},
    "five heads": {"heads": 5},
    "widths": {"value_width": 17, "attention_hidden": (70,), "site_width_per_head": 7},
    "widths without padding": {"value_width": 32, "attention_hidden": (64,), "pair_width_per_head": 32},
    "cut-off": {"cutoff": 4.0},
}


@pytest.fixture
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(kernels, "COMPILE", ["no-such-compiler"])
    kernels.library.cache_clear()
    yield
    kernels.library.cache_clear()


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
    """More pairs than one chunk, crystals of 1 to 500 sites."""
    many = [point_set(crystal_id, 60) for crystal_id in sorted(crystals())[::50]]
    return collate([point_set("mp-252", 1), *many, point_set("mp-19308", 500), *some_point_sets(100)])


@needs_kernels
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_kernels_agree_with_the_formula_in_float64(options: dict[str, object], kernel_calls: list[str]) -> None:
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
    """The same batch with its float32 distances in float64."""
    return Batch(**{**batch.__dict__, "distances": batch.distances.double()})


@needs_kernels
def test_results_do_not_depend_on_the_number_of_threads() -> None:
    batch, model, threads = batch_of_many(), network({}), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = attended(model, batch)
        torch.set_num_threads(2)
        two = attended(model, batch)
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def attended(model: SiteNet, batch: Batch) -> list[Tensor]:
    """Outputs and input gradients of the kernels alone, on fixed inputs."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((batch.n_sites, 90), (len(batch.distances), 48))
    sites, pairs = (torch.randn(shape, generator=generator).requires_grad_() for shape in shapes)
    outputs = fused.attend(cast(AttentionBlock, model.blocks[0]), sites, pairs, batch, update_pairs=True)
    gradients = torch.autograd.grad(outputs[0].square().sum() + outputs[1].square().sum(), pairs)
    return [*outputs, *gradients]


def test_training_twice_gives_the_same_weights_bit_for_bit() -> None:
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
    without_kernels: None, caplog: pytest.LogCaptureFixture
) -> None:
    batch, model = collate(some_point_sets(100)), network({})
    with caplog.at_level(logging.WARNING):
        predictions, _, gradients = run(model, batch)
    assert "no compiled kernels" in caplog.text
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
    assert not fused.usable(model.settings, sites)
    assert fused.usable(SiteNetSettings(), sites)
    assert not fused.usable(SiteNetSettings(), sites.double())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not fused.usable(SiteNetSettings(), sites)
    assert model(collate(some_point_sets())).isfinite().all()
