"""Precisions, and crystals at the edge of what exists."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sitenet.data.crystal import Crystal
from sitenet.features.elements import N_ELEMENTS, elemental_properties
from sitenet.features.featurize import featurize
from sitenet.models.base.batch import Batch, collate
from sitenet.models.sitenet.network import SiteNet
from sitenet.models.sitenet.settings import SiteNetSettings
from sitenet.settings.features import FeatureSettings
from tests.real_crystals import some_point_sets

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")


def network(**options: object) -> SiteNet:
    torch.manual_seed(0)
    return SiteNet(SiteNetSettings.model_validate(options), non_negative=True)


def one_site(atomic_number: int, edge: float) -> Crystal:
    return Crystal("one-site", edge * np.eye(3), np.array([atomic_number]), np.zeros((1, 3)))


def assert_finite(model: SiteNet, batch: Batch) -> None:
    predictions = model(batch)
    predictions.sum().backward()
    assert predictions.isfinite().all()
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("edge", [1.5, 3.0, 60.0, 1e4])
@pytest.mark.parametrize("options", [{}, {"cutoff": 2.0}, {"top_k": 1}, {"pooling": "max"}], ids=str)
@pytest.mark.parametrize("max_sites", [1, 100])
def test_one_site_in_a_tiny_or_huge_cell(edge: float, options: dict[str, object], max_sites: int) -> None:
    sites = featurize(one_site(26, edge), FeatureSettings(max_sites=max_sites))
    assert_finite(network(**options), collate([sites]))


@pytest.mark.parametrize("distance", [1e-30, 1e-6, 1e9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_coincident_and_remote_sites(distance: float, dtype: torch.dtype) -> None:
    sites = featurize(one_site(92, 3.0), FeatureSettings(max_sites=8))
    distances = np.where(sites.distances > 0, distance, 0)
    assert_finite(network().to(dtype), collate([replace(sites, distances=distances)], dtype))


def test_every_element_has_a_finite_prediction() -> None:
    settings = FeatureSettings(max_sites=8)
    sets = [featurize(one_site(z, 4.0), settings) for z in range(1, N_ELEMENTS + 1)]
    assert_finite(network(), collate(sets))


def test_elements_without_a_tabulated_value_get_the_mean_as_in_matminer() -> None:
    magpie = pytest.importorskip("matminer.utils.data").MagpieData(impute_nan=True)
    symbols = pytest.importorskip("pymatgen.core").Element
    names = (*SiteNetSettings().elemental_properties, "BulkModulus", "MeltingT")
    expected = [
        [magpie.get_elemental_property(symbols.from_Z(z), name) for name in names] for z in range(1, N_ELEMENTS + 1)
    ]
    np.testing.assert_allclose(elemental_properties(names)[1:], expected, rtol=1e-12)


def test_very_large_logits_do_not_overflow() -> None:
    model = network()
    for name, parameter in model.named_parameters():
        if "logit_out" in name:
            parameter.data *= 1e4
    assert_finite(model, collate(some_point_sets()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_precision_of_the_batch_is_that_of_the_prediction(dtype: torch.dtype) -> None:
    model = network().to(dtype)
    assert model(collate(some_point_sets(), dtype)).dtype == dtype


def test_bfloat16_autocast_on_the_cpu_stays_close_to_float32() -> None:
    check_autocast("cpu", torch.bfloat16)


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_on_a_gpu_stays_close_to_float32(dtype: torch.dtype) -> None:
    check_autocast("cuda", dtype)


def check_autocast(device: str, dtype: torch.dtype) -> None:
    model, batch = network().to(device), collate(some_point_sets()).to(device)
    model.scale.non_negative = False
    full = model(batch)
    with torch.autocast(device, dtype=dtype):
        mixed = model(batch)
    mixed.sum().backward()
    assert mixed.dtype == torch.float32
    assert (mixed - full).abs().max() > 0, "autocast changed nothing"
    torch.testing.assert_close(mixed, full, rtol=0, atol=0.02)
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gpu_agrees_with_the_cpu(dtype: torch.dtype) -> None:
    model, batch = network().to(dtype), collate(some_point_sets(), dtype)
    on_cpu = model(batch)
    on_gpu = model.to("cuda")(batch.to("cuda"))
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=0, atol=1e-5)
