import numpy as np
import pytest

from sitenet.evaluation.statistics import bootstrap as statistics
from sitenet.evaluation.statistics.bootstrap import bootstrap_scores, percentile_interval

FOLD_SIZES = (40, 40, 39)


def draw_errors(rng: np.random.Generator) -> dict[int, np.ndarray]:
    """Skewed, correlated absolute errors of two models; folds differ in difficulty."""
    errors = {}
    for fold, n in enumerate(FOLD_SIZES):
        difficulty = rng.gamma(2.0, 0.5 + 0.25 * fold, size=n)  # mean 1 + fold / 2, shared by both models
        errors[fold] = np.stack([difficulty, 0.9 * difficulty + rng.exponential(0.1, size=n)], axis=1)
    return errors


TRUE_SCORE = np.mean([1.0, 1.5, 2.0])
TRUE_DIFFERENCE = 0.1 * TRUE_SCORE - 0.1


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    scores, differences, widths = [], [], []
    for repeat in range(400):
        bootstrap = bootstrap_scores(draw_errors(rng), n_resamples=400, seed=repeat)
        score, difference = bootstrap.score(0), bootstrap.difference(0, 1)
        scores.append(score.low <= TRUE_SCORE <= score.high)
        differences.append(difference.low <= TRUE_DIFFERENCE <= difference.high)
        widths.append((difference.high - difference.low) / (score.high - score.low))
    # Binomial standard deviation 0.011; resampling folds together or too few crystals falls outside.
    assert 0.90 <= np.mean(scores) <= 0.98
    assert 0.90 <= np.mean(differences) <= 0.98
    assert np.mean(widths) < 0.3  # pairing: the models' errors are correlated


def test_spread_is_that_of_a_stratified_mean() -> None:
    errors = draw_errors(np.random.default_rng(2))
    replicates = bootstrap_scores(errors, n_resamples=20_000).replicates[:, :, 0].mean(axis=1)
    variance = sum(e[:, 0].var() / len(e) for e in errors.values()) / len(errors) ** 2
    assert replicates.std() == pytest.approx(np.sqrt(variance), rel=0.03)


def test_folds_are_resampled_independently() -> None:
    errors = np.random.default_rng(6).exponential(size=(50, 1))
    replicates = bootstrap_scores({0: errors, 1: errors}, n_resamples=10_000).replicates[:, :, 0]
    assert abs(np.asarray(np.corrcoef(replicates.T))[0, 1]) < 0.05


def test_score_is_the_mean_over_folds_not_over_crystals() -> None:
    errors = {0: np.full((90, 1), 1.0), 1: np.full((10, 1), 3.0)}
    assert bootstrap_scores(errors, n_resamples=10).score(0) == (2.0, 2.0, 2.0)


def test_same_seed_same_interval_and_another_seed_another() -> None:
    errors = draw_errors(np.random.default_rng(3))
    first = bootstrap_scores(errors, n_resamples=100, seed=5)
    assert np.array_equal(first.replicates, bootstrap_scores(errors, n_resamples=100, seed=5).replicates)
    assert not np.array_equal(first.replicates, bootstrap_scores(errors, n_resamples=100, seed=6).replicates)


def test_adding_a_model_or_a_fold_does_not_move_an_interval() -> None:
    errors = draw_errors(np.random.default_rng(4))
    both = bootstrap_scores(errors, n_resamples=200)
    alone = bootstrap_scores({k: e[:, :1] for k, e in errors.items() if k != 1}, n_resamples=200)
    np.testing.assert_allclose(alone.replicates[:, :, 0], both.replicates[:, [0, 2], 0])


def test_small_chunks_draw_the_same_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = draw_errors(np.random.default_rng(5))
    whole = bootstrap_scores(errors, n_resamples=50)
    monkeypatch.setattr(statistics, "_CHUNK_DRAWS", 130)
    np.testing.assert_allclose(bootstrap_scores(errors, n_resamples=50).replicates, whole.replicates)


def test_missing_folds_are_left_out_of_a_score_and_of_its_comparisons() -> None:
    errors = {0: np.array([[1.0, 3.0], [1.0, 3.0]]), 1: np.array([[5.0, np.nan], [5.0, np.nan]])}
    bootstrap = bootstrap_scores(errors, n_resamples=10)
    assert bootstrap.score(0).value == 3.0
    assert bootstrap.score(1).value == 3.0
    assert bootstrap.difference(0, 1).value == -2.0


def test_models_without_a_common_fold_have_no_difference() -> None:
    errors = {0: np.array([[1.0, np.nan]]), 1: np.array([[np.nan, 1.0]])}
    assert np.isnan(bootstrap_scores(errors, n_resamples=10).difference(0, 1)).all()


def test_percentile_interval_cuts_equal_tails() -> None:
    low, high = percentile_interval(np.arange(1001.0), level=0.9)
    assert (low, high) == pytest.approx((50.0, 950.0))
