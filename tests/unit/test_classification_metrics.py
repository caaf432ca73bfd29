"""Metrics of classes against scikit-learn's, and the bootstrap of ROC-AUCs."""

import numpy as np
import pytest
import sklearn.metrics
from numpy.typing import NDArray

from sitenet.errors import UserError
from sitenet.evaluation.statistics import areas, classification
from sitenet.evaluation.statistics.areas import Classified, bootstrap_areas
from sitenet.evaluation.statistics.bootstrap import group_weights
from sitenet.evaluation.statistics.metrics import CLASS_METRICS, compute_metrics

CASES = [(n, digits) for n in (2, 7, 100, 1000) for digits in (1, 2, 12)]  # few digits make ties


Floats = NDArray[np.float64]


def case(n: int, digits: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Targets of both classes, and probabilities that go with them."""
    random = np.random.default_rng([n, digits, seed])
    target = random.permutation(np.arange(n) % 3 == 0).astype(float)
    return target, (0.3 * target + 0.7 * random.random(n)).round(digits)


@pytest.mark.parametrize(("n", "digits"), CASES)
def test_a_weighted_area_is_that_of_scikit_learn(n: int, digits: int) -> None:
    target, prediction = case(n, digits)
    weights = np.random.default_rng(1).standard_exponential((n, 20))
    found = classification.weighted_roc_auc(target, prediction, weights)
    expected = [sklearn.metrics.roc_auc_score(target, prediction, sample_weight=own) for own in weights.T]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)
    assert classification.roc_auc(target, prediction) == pytest.approx(
        sklearn.metrics.roc_auc_score(target, prediction), abs=1e-11
    )


@pytest.mark.parametrize(("n", "digits"), CASES)
def test_metrics_are_those_of_scikit_learn(n: int, digits: int) -> None:
    target, prediction = case(n, digits)
    found, labels = compute_metrics(target, prediction, "classification").values, prediction > 0.5
    expected = {
        "roc_auc": sklearn.metrics.roc_auc_score(target, prediction),
        "f1": sklearn.metrics.f1_score(target, labels, zero_division=0),
        "balanced_accuracy": sklearn.metrics.balanced_accuracy_score(target, labels),
        "log_loss": sklearn.metrics.log_loss(target, prediction.clip(2**-23, 1 - 2**-23)),
        "brier": sklearn.metrics.brier_score_loss(target, prediction),
        "positives": target.mean(),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert list(found) == [metric.key for metric in CLASS_METRICS]


def test_an_area_grows_with_the_order_alone() -> None:
    target, prediction = case(200, 12)
    area = classification.roc_auc(target, prediction)
    assert classification.roc_auc(target, prediction**3 / 2) == area
    assert classification.roc_auc(target, -prediction) == pytest.approx(1 - area, abs=1e-11)
    assert classification.roc_auc(target, target) == 1
    assert classification.roc_auc(target, np.full(200, 0.3)) == 0.5


def test_what_one_class_leaves_open_is_not_a_number() -> None:
    for n in (0, 5):
        found = compute_metrics(np.ones(n), np.full(n, 0.75), "classification").values
        assert np.isnan([found["roc_auc"], found["balanced_accuracy"]]).all()
        assert np.isnan(found["log_loss"]) == (n == 0)
    assert found["brier"] == pytest.approx(0.0625)


def test_a_certain_mistake_has_a_finite_log_loss() -> None:
    assert classification.log_loss(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(23 * np.log(2))


def test_the_calibration_error_is_that_of_the_bins() -> None:
    target = np.array([0.0, 0.0, 1.0, 1.0, 1.0])
    prediction = np.array([0.12, 0.18, 0.12, 0.95, 1.0])
    by_hand = (3 * abs(0.14 - 1 / 3) + 2 * abs(0.975 - 1)) / 5
    assert classification.calibration_error(target, prediction) == pytest.approx(by_hand)
    random = np.random.default_rng(0)
    right: Floats = random.random(100_000)
    drawn = (random.random(100_000) < right).astype(np.float64)
    assert classification.calibration_error(drawn, right) < 0.01
    assert classification.calibration_error(drawn, np.square(right)) > 0.1


def test_bins_have_all_crystals_and_their_means() -> None:
    target, prediction = case(500, 12)
    _, predicted, observed, counts = classification.reliability(target, prediction)
    assert counts.sum() == 500
    assert (predicted * counts).sum() == pytest.approx(prediction.sum())
    assert (observed * counts).sum() == pytest.approx(target.sum())


@pytest.mark.parametrize(("n", "digits"), CASES)
def test_a_roc_curve_is_that_of_scikit_learn(n: int, digits: int) -> None:
    target, prediction = case(n, digits)
    false, true = classification.roc_curve(target, prediction)
    expected = sklearn.metrics.roc_curve(target, prediction, drop_intermediate=False)
    np.testing.assert_allclose((false, true), expected[:2])
    assert np.trapezoid(true, false) == pytest.approx(classification.roc_auc(target, prediction))


def folds_of(n: int = 120, seed: int = 0) -> dict[int, Classified]:
    """Two folds, two models: one with two seeds, one that is missing on fold 1."""
    found = {}
    for fold in (0, 1):
        target, first = case(n, 2, seed + fold)
        _, second = case(n, 12, seed + fold)
        groups = [f"formula {i // 2}" for i in range(n)]
        found[fold] = Classified(target, [np.stack([first, second]), None if fold else first[None]], groups)
    return found


def test_a_resample_is_the_area_with_the_weights_of_the_formulas(monkeypatch: pytest.MonkeyPatch) -> None:
    folds = folds_of()
    whole = bootstrap_areas(folds, n_resamples=50, seed=3)
    monkeypatch.setattr(areas, "_CHUNK_WEIGHTS", 1000)  # eight resamples at a time
    found = bootstrap_areas(folds, n_resamples=50, seed=3)
    np.testing.assert_array_equal(found.replicates, whole.replicates)
    for k, fold in folds.items():
        weights = np.array([group_weights(name, 50, 3) for name in fold.groups])
        for seeds, own, observed in zip(fold.predictions, found.replicates[:, k].T, found.observed[k], strict=True):
            if seeds is None:
                assert np.isnan(own).all()
                assert np.isnan(observed)
                continue
            score = sklearn.metrics.roc_auc_score
            by_hand = [[score(fold.targets, one, sample_weight=w) for w in weights.T] for one in seeds]
            np.testing.assert_allclose(own, np.mean(by_hand, axis=0), atol=1e-11)
            assert observed == pytest.approx(np.mean([score(fold.targets, one) for one in seeds]))


def test_a_difference_is_paired_and_on_common_folds() -> None:
    found = bootstrap_areas(folds_of(), n_resamples=200)
    one, other = found.difference(0, 1), found.difference(1, 0)
    assert one.value == -other.value == pytest.approx(found.observed[0, 0] - found.observed[0, 1])
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert found.n_groups() == 60


@pytest.mark.slow
def test_intervals_contain_the_true_area() -> None:
    """Two normal distributions one standard deviation apart have an area of Phi(1 / sqrt(2)) = 0.7602."""
    inside, repeats = 0, 300
    for seed in range(repeats):
        random = np.random.default_rng(seed)
        target = (np.arange(200) % 2).astype(float)
        prediction = random.normal(target)
        fold = Classified(target, [prediction[None]], [str(i) for i in range(200)])
        _, low, high = bootstrap_areas({0: fold}, n_resamples=400, seed=seed).score(0)
        inside += low <= 0.7602 <= high
    assert 0.90 < inside / repeats < 0.98


def test_a_fold_of_one_class_is_refused() -> None:
    fold = Classified(np.ones(4), [np.full((1, 4), 0.5)], list("abcd"))
    with pytest.raises(UserError, match="fold 2: its test crystals are all of one class"):
        bootstrap_areas({2: fold}, 10)
