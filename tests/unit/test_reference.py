"""Equality with the independent reference implementation, number by number, from the structure on.

`pytest -s tests/unit/test_reference.py` prints every deviation.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sitenet.features.elements import elemental_properties
from sitenet.features.point_set import PointSet
from sitenet.models.base.batch import collate
from sitenet.models.base.kernels import library
from sitenet.models.sitenet.network import SiteNet, pair_features
from sitenet.models.sitenet.settings import SiteNetSettings
from tests.real_crystals import point_set
from tests.reference.values import arrays, cases, load_reference_weights, reference_name, reference_network

Array = NDArray[np.float64]


def features(case: dict[str, Any], reduced: bool) -> PointSet:
    return point_set(case["material_id"], case["max_sites"], reduced)


def test_parameter_count() -> None:
    assert sum(p.numel() for p in SiteNet(SiteNetSettings()).parameters()) == 304_085


@pytest.mark.parametrize(
    ("dtype", "reduced", "kernels", "tolerance"),
    [
        (torch.float64, False, False, 1e-9),
        (torch.float64, True, False, 1e-5),
        (torch.float32, False, False, 1e-5),
        (torch.float32, False, True, 1e-5),
        (torch.float32, True, False, 1e-5),
        (torch.float32, True, True, 1e-5),
    ],
)
def test_predictions(
    dtype: torch.dtype, reduced: bool, kernels: bool, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kernels:
        monkeypatch.setattr("sitenet.models.base.kernels.library", lambda name: None)
    elif library("sitenet/kernels") is None:
        pytest.skip("no C compiler that builds the kernels")
    model = reference_network(dtype)
    with torch.no_grad():
        predictions = [model(collate([features(case, reduced)], dtype)).item() for case in cases()]
    deviations = {
        case["case"]: abs(prediction - case["prediction"])
        for case, prediction in zip(cases(), predictions, strict=True)
    }
    print(f"\nprediction, {dtype}, reduced={reduced}, kernels={kernels}, |difference| in eV:")
    print("  ".join(f"{name} {deviation:.1e}" for name, deviation in deviations.items()))
    assert max(deviations.values()) < tolerance, max(deviations, key=lambda name: deviations[name])


def test_clamped_prediction_is_the_positive_part() -> None:
    model = reference_network(torch.float64)
    batch = collate([features(case, True) for case in cases()], torch.float64)
    unclamped = model(batch)
    model.output.bias.data -= 3.5
    model.scale.non_negative = True
    assert 0 < (model(batch) == 0).sum() < len(cases())
    torch.testing.assert_close(model(batch), (unclamped - 3.5).clamp(min=0))


def test_pair_and_site_features() -> None:
    names = SiteNetSettings().elemental_properties
    worst = {"pair": 0.0, "site": 0.0}
    for case in cases():
        expected = arrays(case["case"])
        unreduced = features(case, False)
        assert unreduced.atomic_numbers.tolist() == expected["atomic_numbers"].tolist()
        pairs = pair_features(collate([unreduced], torch.float64)).numpy().reshape(expected["pair_features"].shape)
        sites = elemental_properties(names)[unreduced.atomic_numbers]
        worst["pair"] = max(worst["pair"], relative(pairs, expected["pair_features"]))
        worst["site"] = max(worst["site"], relative(sites, expected["site_features"]))
    print(f"\nfeatures, largest relative difference: {worst}")
    assert max(worst.values()) < 1e-6


@pytest.mark.parametrize(("dtype", "reduced"), [(torch.float64, False), (torch.float64, True), (torch.float32, True)])
def test_attention_maps(dtype: torch.dtype, reduced: bool) -> None:
    model = reference_network(dtype)
    with_maps = [case for case in cases() if "attention_block0" in arrays(case["case"])]
    assert len(with_maps) >= 2
    for case in with_maps:
        sites = features(case, reduced)
        for block, alpha in enumerate(model.attention(collate([sites], dtype))):
            expected = arrays(case["case"])[f"attention_block{block}"]
            deviation = np.abs(attention_by_class(alpha.numpy(), sites) - merged(expected, sites)).max()
            print(f"\nattention, {dtype}, reduced={reduced}, {case['case']}, block {block}: {deviation:.1e}")
            assert deviation < 1e-5
            if not reduced:
                np.testing.assert_allclose(alpha.numpy().reshape(expected.shape), expected, atol=1e-5)


def attention_by_class(alpha: Array, sites: PointSet) -> Array:
    """(R, R, H) attention of each site class to each site class, from reduced or all pairs."""
    n_classes = len(sites.row_counts)
    summed = np.zeros((n_classes, n_classes, alpha.shape[1]))
    np.add.at(summed, (np.repeat(np.arange(n_classes), sites.row_counts), sites.pair_sites), alpha)
    return summed


def merged(expected: Array, sites: PointSet) -> Array:
    """The same from the reference's (P, S, H) map; copies of a primitive site stand next to each other."""
    first = np.unique(sites.site_class, return_index=True)[1]
    summed = np.zeros((len(first), len(first), expected.shape[2]))
    for supercell_site, site_class in enumerate(np.repeat(sites.site_class, sites.n_images)):
        summed[:, site_class] += expected[first, supercell_site]
    return summed


@pytest.mark.parametrize(("dtype", "reduced"), [(torch.float64, False), (torch.float64, True), (torch.float32, True)])
def test_gradient_of_the_mean_absolute_error(dtype: torch.dtype, reduced: bool) -> None:
    model = reference_network(dtype)
    of_100_sites = [case for case in cases() if case["max_sites"] == 100]
    batch = collate([features(case, reduced) for case in of_100_sites], dtype)
    targets = torch.tensor([case["target"] for case in of_100_sites], dtype=dtype)
    (model(batch) - targets).abs().mean().backward()
    gradients = {reference_name(name): p.grad for name, p in model.named_parameters() if p.grad is not None}
    expected = arrays("mae_gradient")
    assert gradients.keys() == expected.keys()
    deviations = {name: gradient_deviation(gradients[name].numpy(), expected[name]) for name in expected}
    print(f"\ngradient, {dtype}, reduced={reduced}, largest relative difference of an array:")
    print("\n".join(f"  {name} {deviation:.1e}" for name, deviation in deviations.items()))
    assert max(deviations.values()) < 1e-4, max(deviations, key=lambda name: deviations[name])


def gradient_deviation(gradient: Array, expected: Array) -> float:
    # Softmax ignores what is added to all logits, so the gradient of the biases before it vanishes: both
    # sides hold rounding noise there, at most 1e-7 in float32, far below any other array (2e-3 and more).
    return float(np.abs(gradient - expected).max() / max(np.abs(expected).max(), 1e-3))


def relative(actual: Array, expected: Array) -> float:
    return float((np.abs(actual - expected) / np.maximum(np.abs(expected), 1.0)).max())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("pre_pool.bias"), "missing.*pre_pool.bias"),
        (lambda w: w.update(surprise=np.zeros(3)), "unknown.*surprise"),
        (lambda w: w.update({"output.bias": np.zeros(2)}), r"output.bias has shape \(2,\).*expects \(1,\)"),
    ],
)
def test_weights_that_do_not_fit_are_named(change: Callable[[dict[str, np.ndarray]], Any], message: str) -> None:
    weights = dict(arrays("weights"))
    change(weights)
    with pytest.raises(ValueError, match=message):
        load_reference_weights(SiteNet(SiteNetSettings()), weights)
