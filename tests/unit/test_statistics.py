from collections.abc import Mapping

import numpy as np
import pytest
from scipy import stats

from sitenet.evaluation.statistics import bootstrap as statistics
from sitenet.evaluation.statistics.bootstrap import Bootstrap, bootstrap_scores, percentile_interval
from sitenet.evaluation.statistics.simultaneous import corrected_p_values

FOLD_SIZES = (40, 40, 39)


def draw_errors(rng: np.random.Generator) -> dict[int, np.ndarray]:
    """Skewed, correlated absolute errors of two models; folds differ in difficulty."""
    errors = {}
    for fold, n in enumerate(FOLD_SIZES):
        difficulty = rng.gamma(2.0, 0.5 + 0.25 * fold, size=n)  # mean 1 + fold / 2, shared by both models
        errors[fold] = np.stack([difficulty, 0.9 * difficulty + rng.exponential(0.1, size=n)], axis=1)
    return errors


def single(errors: Mapping[int, np.ndarray]) -> dict[int, list[str]]:
    """Groups of one crystal each."""
    return {fold: [f"{fold}-{i}" for i in range(len(own))] for fold, own in errors.items()}


def bootstrapped(errors: Mapping[int, np.ndarray], n_resamples: int, seed: int = 0) -> Bootstrap:
    return bootstrap_scores(errors, single(errors), n_resamples, seed)


TRUE_SCORE = np.mean([1.0, 1.5, 2.0])
TRUE_DIFFERENCE = 0.1 * TRUE_SCORE - 0.1


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    scores, differences, widths = [], [], []
    for repeat in range(400):
        bootstrap = bootstrapped(draw_errors(rng), n_resamples=400, seed=repeat)
        score, difference = bootstrap.score(0), bootstrap.difference(0, 1)
        scores.append(score.low <= TRUE_SCORE <= score.high)
        differences.append(difference.low <= TRUE_DIFFERENCE <= difference.high)
        widths.append((difference.high - difference.low) / (score.high - score.low))
    # Binomial standard deviation 0.011; resampling folds together or too few crystals falls outside.
    assert 0.91 <= np.mean(scores) <= 0.98
    assert 0.91 <= np.mean(differences) <= 0.98
    assert np.mean(widths) < 0.3  # pairing: the models' errors are correlated


def test_intervals_of_groups_cover_the_truth_and_those_of_crystals_do_not() -> None:
    """Sixty formulas with one to eight polymorphs that share most of their error."""
    rng = np.random.default_rng(7)
    grouped: list[bool] = []
    ungrouped: list[bool] = []
    for repeat in range(400):
        sizes = rng.integers(1, 9, size=60)
        errors = {0: (np.repeat(rng.gamma(2.0, 0.5, size=60), sizes) * rng.uniform(0.8, 1.2, sizes.sum()))[:, None]}
        names = {0: [f"formula {i}" for i in np.repeat(np.arange(60), sizes)]}
        for found, own in ((grouped, names), (ungrouped, single(errors))):
            score = bootstrap_scores(errors, own, n_resamples=400, seed=repeat).score(0)
            found.append(score.low <= 1.0 <= score.high)
    assert 0.90 <= np.mean(grouped) <= 0.98
    assert np.mean(ungrouped) < 0.75


def test_standard_error_is_that_of_scipys_bootstrap() -> None:
    errors = np.random.default_rng(2).exponential(size=(500, 1))
    expected = stats.bootstrap((errors[:, 0],), np.mean, n_resamples=20_000, method="percentile", rng=3)
    found = bootstrapped({0: errors}, n_resamples=20_000)
    assert found.replicates[:, 0, 0].std() == pytest.approx(expected.standard_error, rel=0.03)
    assert found.score(0)[1:] == pytest.approx(tuple(expected.confidence_interval), abs=0.1 * expected.standard_error)


def test_standard_error_of_groups_is_that_of_their_ratio() -> None:
    """The linearised variance of the ratio of two sums over groups, as sample surveys use it."""
    rng = np.random.default_rng(8)
    sizes = rng.integers(1, 6, size=400)
    errors = np.repeat(rng.exponential(size=400), sizes) + rng.uniform(0, 0.1, sizes.sum())
    names = [str(i) for i in np.repeat(np.arange(400), sizes)]
    replicates = bootstrap_scores({0: errors[:, None]}, {0: names}, n_resamples=20_000).replicates[:, 0, 0]
    residuals = np.add.reduceat(errors - errors.mean(), np.cumsum(sizes) - sizes)
    assert replicates.std() == pytest.approx(np.sqrt(np.square(residuals).sum()) / sizes.sum(), rel=0.03)


def test_spread_is_that_of_a_stratified_mean() -> None:
    errors = draw_errors(np.random.default_rng(2))
    replicates = bootstrapped(errors, n_resamples=20_000).replicates[:, :, 0].mean(axis=1)
    variance = sum(e[:, 0].var() / (len(e) + 1) for e in errors.values()) / len(errors) ** 2
    assert replicates.std() == pytest.approx(np.sqrt(variance), rel=0.03)


def test_folds_are_independent_but_for_the_groups_that_they_share() -> None:
    errors = np.random.default_rng(6).exponential(size=(50, 1))
    folds = {0: errors, 1: errors}
    apart = bootstrapped(folds, n_resamples=10_000).replicates[:, :, 0]
    assert abs(np.asarray(np.corrcoef(apart.T))[0, 1]) < 0.05
    names = [str(i) for i in range(50)]
    same = bootstrap_scores(folds, {0: names, 1: names}, n_resamples=100).replicates[:, :, 0]
    np.testing.assert_allclose(same[:, 0], same[:, 1])


def test_score_is_the_mean_over_folds_not_over_crystals() -> None:
    errors = {0: np.full((90, 1), 1.0), 1: np.full((10, 1), 3.0)}
    assert bootstrapped(errors, n_resamples=10).score(0) == pytest.approx((2.0, 2.0, 2.0))


def test_same_seed_same_interval_and_another_seed_another() -> None:
    errors = draw_errors(np.random.default_rng(3))
    first = bootstrapped(errors, n_resamples=100, seed=5)
    assert np.array_equal(first.replicates, bootstrapped(errors, n_resamples=100, seed=5).replicates)
    assert not np.array_equal(first.replicates, bootstrapped(errors, n_resamples=100, seed=6).replicates)


def test_adding_a_model_or_a_fold_does_not_move_an_interval() -> None:
    errors = draw_errors(np.random.default_rng(4))
    both = bootstrapped(errors, n_resamples=200)
    alone = bootstrapped({k: e[:, :1] for k, e in errors.items() if k != 1}, n_resamples=200)
    np.testing.assert_allclose(alone.replicates[:, :, 0], both.replicates[:, [0, 2], 0])


def test_small_chunks_draw_the_same_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = draw_errors(np.random.default_rng(5))
    whole = bootstrapped(errors, n_resamples=50)
    monkeypatch.setattr(statistics, "_CHUNK_WEIGHTS", 130)
    np.testing.assert_allclose(bootstrapped(errors, n_resamples=50).replicates, whole.replicates)


def test_missing_folds_are_left_out_of_a_score_and_of_its_comparisons() -> None:
    errors = {0: np.array([[1.0, 3.0]] * 60), 1: np.array([[5.0, np.nan]] * 60)}
    bootstrap = bootstrapped(errors, n_resamples=10)
    assert bootstrap.score(0).value == 3.0
    assert bootstrap.score(1) == pytest.approx((3.0, 3.0, 3.0))
    assert bootstrap.difference(0, 1).value == -2.0


def test_models_without_a_common_fold_have_no_difference() -> None:
    errors = {0: np.array([[1.0, np.nan]]), 1: np.array([[np.nan, 1.0]])}
    assert np.isnan(bootstrapped(errors, n_resamples=10).difference(0, 1)).all()


@pytest.mark.parametrize("scale", [1.0, 1e-9])
def test_what_is_less_than_rounding_is_no_difference(scale: float) -> None:
    """Three seeds that predict the same, and their mean, which differs in the last bit; errors that are all equal."""
    errors = scale * np.random.default_rng(3).gamma(2.0, 0.5, size=90)
    nearly = {0: np.stack([errors, errors * (1 + 1e-16 * np.arange(90)), np.full(90, 0.1 * scale)], axis=1)}
    bootstrap = bootstrapped(nearly, 100)
    assert bootstrap.difference(0, 1) == (0, 0, 0)
    assert bootstrap.score(2).low == bootstrap.score(2).high == bootstrap.score(2).value
    assert bootstrap.score(0).high > bootstrap.score(0).low


def test_percentile_interval_cuts_equal_tails() -> None:
    low, high = percentile_interval(np.arange(1001.0), level=0.9)
    assert (low, high) == pytest.approx((50.0, 950.0))


def p_values(errors: np.ndarray, n_resamples: int, seed: int = 0) -> np.ndarray:
    """Corrected p-values of every model against the one with the smallest mean."""
    found = bootstrapped({0: errors}, n_resamples, seed)
    best = int(found.observed[0].argmin())
    return np.delete(corrected_p_values(found.observed[0], found.replicates[:, 0])[best], best)


def test_two_models_have_the_p_value_of_a_paired_test() -> None:
    rng = np.random.default_rng(9)
    first = rng.exponential(size=300)
    for shift in (0.01, 0.03, 0.05):
        second = first + rng.normal(shift, 0.4, size=300)
        (found,) = p_values(np.stack([first, second], axis=1), 20_000)
        assert found == pytest.approx(stats.ttest_rel(first, second).pvalue, abs=0.015)
        permuted = stats.permutation_test(
            (first, second), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=5000, rng=1
        )
        assert found == pytest.approx(permuted.pvalue, abs=0.02)


def test_independent_models_are_corrected_as_tukeys_test_does() -> None:
    """The largest difference, which has all others to compete with; the smallest has none and is not corrected."""
    for seed in range(3):
        errors = np.random.default_rng(seed).normal(1, 0.1, size=(2000, 5))
        found = bootstrapped({0: errors}, 10_000)
        scores, p_values = found.observed[0], corrected_p_values(found.observed[0], found.replicates[:, 0])
        tukey = stats.tukey_hsd(*errors.T).pvalue
        low, high = scores.argmin(), scores.argmax()
        assert p_values[low, high] == pytest.approx(tukey[low, high], abs=0.03)
        assert (p_values <= tukey + 0.03).all()
        assert np.array_equal(p_values, p_values.T)


def test_worse_models_do_not_hide_a_difference_of_good_ones() -> None:
    """Two models that differ have the same verdict with eight clearly worse ones beside them."""
    rng = np.random.default_rng(14)
    good = rng.exponential(size=(300, 1)) + np.array([0.0, 0.06]) + rng.normal(0, 0.25, size=(300, 2))
    bad = rng.exponential(size=(300, 8)) + 2 + np.arange(8)
    (alone,) = p_values(good, 4000)
    assert 0.0003 < alone < 0.04
    assert p_values(np.hstack([good, bad]), 4000)[0] == pytest.approx(alone)


def test_p_values_follow_the_order_of_the_statistics() -> None:
    """Against plain loops over resamples and pairs."""
    errors = np.random.default_rng(15).exponential(size=(60, 4)) + np.array([0.0, 0.1, 0.2, 0.5])
    found = bootstrapped({0: errors}, 200)
    scores, replicates = found.observed[0], found.replicates[:, 0]
    pairs = [(i, j) for i in range(4) for j in range(i)]
    spread = {(i, j): (replicates[:, i] - replicates[:, j]).std(ddof=1) for i, j in pairs}
    size = {(i, j): abs(scores[i] - scores[j]) / spread[i, j] for i, j in pairs}
    before = 0.0
    for i, j in sorted(pairs, key=lambda pair: -size[pair]):
        rest = [pair for pair in pairs if size[pair] <= size[i, j]]
        reached = 0
        for row in replicates:
            chance = [abs((row[k] - row[m]) - (scores[k] - scores[m])) / spread[k, m] for k, m in rest]
            reached += max(chance) >= size[i, j]
        before = max(before, (1 + reached) / 201)
        assert corrected_p_values(scores, replicates)[i, j] == pytest.approx(before)


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_of_equal_models_some_is_called_worse_in_one_of_twenty_cases(correlation: float) -> None:
    """Six equal models: without the correction one is called worse than the best in most cases."""
    rng, wrong, alone = np.random.default_rng(11), [], []
    for repeat in range(400):
        shared, own = rng.exponential(size=(80, 1)), rng.exponential(size=(80, 6))
        errors = correlation * shared + (1 - correlation) * own
        wrong.append(p_values(errors, 400, repeat).min() <= 0.05)
        best = errors.mean(axis=0).argmin()
        alone.append(min(stats.ttest_rel(errors[:, best], errors[:, i]).pvalue for i in range(6) if i != best) <= 0.05)
    assert 0.01 <= np.mean(wrong) <= 0.08  # binomial standard deviation 0.011
    assert np.mean(alone) > 0.25


def test_differences_that_never_vary_are_certain_or_none() -> None:
    errors = np.random.default_rng(12).exponential(size=(60, 2))
    equal_and_shifted = np.column_stack([errors[:, 0], errors[:, 0], errors[:, 0] + 0.1, errors[:, 1] + 0.3])
    found = bootstrapped({0: equal_and_shifted}, 999)
    found_values = corrected_p_values(found.observed[0], found.replicates[:, 0])
    assert found_values[0, 1] == 1.0
    assert found_values[0, 2] == 0.001
