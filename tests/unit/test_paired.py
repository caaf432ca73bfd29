import math

import numpy as np
import pytest
from scipy.stats import t, ttest_1samp

from sitenet.evaluation.statistics.paired import paired_difference


def interval_by_loops(folds: list[list[list[float]]], level: float = 0.95) -> tuple[float, float, float]:
    """The interval of `folds[k][s][c]`, sum by sum."""
    means = [[sum(row) / len(row) for row in fold] for fold in folds]
    centres = [sum(own) / len(own) for own in means]
    replicates = sum(len(own) - 1 for own in means)
    pooled = sum((m - c) ** 2 for own, c in zip(means, centres, strict=True) for m in own) / replicates
    over_crystals, freedom = 0.0, 0
    for fold, centre in zip(folds, centres, strict=True):
        crystals = [sum(row[c] for row in fold) / len(fold) for c in range(len(fold[0]))]
        over_crystals += sum((d - centre) ** 2 for d in crystals) / (len(crystals) - 1) / len(crystals)
        freedom += len(crystals) - 1
    terms = [(sum(pooled / len(own) for own in means), replicates), (over_crystals, freedom)]
    total = sum(variance for variance, _ in terms)
    effective = total**2 / sum(variance**2 / own for variance, own in terms)
    margin = t.ppf((1 + level) / 2, effective) * math.sqrt(total) / len(folds)
    value = sum(centres) / len(centres)
    return value, value - margin, value + margin


@pytest.mark.parametrize("seeds", [(3,), (3, 3), (1, 2), (3, 1, 2)])
def test_interval_is_that_of_plain_loops(seeds: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    folds = {k: rng.normal(0.1, 0.3, size=(n, 5 + k)) + rng.normal(0, 0.2, size=(n, 1)) for k, n in enumerate(seeds)}
    expected = interval_by_loops([fold.tolist() for fold in folds.values()])
    assert paired_difference(folds) == pytest.approx(expected, rel=1e-12)


def test_without_spread_over_crystals_it_is_students_t_over_seeds() -> None:
    seeds = np.array([0.01, 0.03, 0.02])
    expected = ttest_1samp(seeds, 0).confidence_interval(0.95)
    assert paired_difference({0: np.repeat(seeds[:, None], 50, axis=1)}) == pytest.approx((0.02, *expected))


def test_without_spread_over_seeds_it_is_students_t_over_crystals() -> None:
    crystals = np.random.default_rng(1).normal(size=40)
    expected = ttest_1samp(crystals, 0).confidence_interval(0.95)
    three = paired_difference({0: np.tile(crystals, (3, 1))})
    assert three[1:] == pytest.approx(tuple(expected))
    assert paired_difference({0: crystals[None]}) == pytest.approx(three)  # one seed: nothing known of others


@pytest.mark.parametrize(("over_seeds", "over_crystals"), [(0.02, 0.01), (0.02, 0.2), (0.002, 0.3)])
def test_intervals_of_three_seeds_cover_the_truth_as_often_as_they_say(over_seeds: float, over_crystals: float) -> None:
    """Seeds that dominate, both alike, crystals that dominate; the truth is that of all seeds and crystals."""
    rng = np.random.default_rng(2)
    n_crystals, covered = 100, []
    for _ in range(2000):
        seeds, crystals = rng.normal(0, over_seeds, (3, 1)), rng.normal(0, over_crystals, (1, n_crystals))
        interval = paired_difference({0: 0.05 + seeds + crystals + rng.normal(0, 0.05, (3, n_crystals))})
        covered.append(interval.low <= 0.05 <= interval.high)
    # Binomial standard deviation 0.005. In the first case normal quantiles cover 0.86, the crystals' spread alone 0.38.
    assert 0.935 <= np.mean(covered) <= 0.985


def test_score_is_the_mean_over_folds() -> None:
    folds = {0: np.full((3, 90), 1.0), 1: np.full((3, 10), 3.0)}
    assert paired_difference(folds) == (2.0, 2.0, 2.0)


def test_nothing_and_a_single_crystal_have_no_interval() -> None:
    assert np.isnan(paired_difference({})).all()
    single = paired_difference({0: np.array([[0.1], [0.3]])})
    assert single.value == pytest.approx(0.2)
    assert np.isnan(single[1:]).all()


def test_crystals_of_one_group_count_as_one() -> None:
    """Copies of forty crystals say as much as the forty."""
    crystals = np.random.default_rng(3).normal(size=40)
    names = {0: [f"formula {i}" for i in np.repeat(np.arange(40), 5)]}
    copied = {0: np.repeat(crystals, 5)[None]}
    assert paired_difference(copied, names) == pytest.approx(paired_difference({0: crystals[None]}))
    alone, together = paired_difference(copied), paired_difference(copied, names)
    assert alone.high - alone.low < 0.5 * (together.high - together.low)


def test_groups_of_unequal_size_have_the_interval_of_a_cluster_sample() -> None:
    """Coverage over samples of thirty formulas with one to eight polymorphs each."""
    rng, covered = np.random.default_rng(4), []
    for _ in range(1000):
        sizes = rng.integers(1, 9, size=30)
        values = np.repeat(rng.normal(0.1, 0.5, size=30), sizes) + rng.normal(0, 0.1, size=sizes.sum())
        interval = paired_difference({0: values[None]}, {0: np.repeat(np.arange(30), sizes).astype(str).tolist()})
        covered.append(interval.low <= 0.1 <= interval.high)
    assert 0.92 <= np.mean(covered) <= 0.97


@pytest.mark.parametrize(("n_folds", "copies"), [(5, 1), (5, 5), (2, 20)])
def test_groups_that_are_in_several_folds_are_not_independent(n_folds: int, copies: int) -> None:
    """Coverage where the polymorphs of a formula are dealt to the folds at random."""
    rng, covered, groups = np.random.default_rng(5), [], np.repeat(np.arange(100), copies)
    for _ in range(600):
        crystals = rng.normal(0.1, 1.0, 100)[groups] + rng.normal(0, 1.0, len(groups))
        fold = rng.permutation(len(groups)) % n_folds
        names = {k: groups[fold == k].astype(str).tolist() for k in range(n_folds)}
        interval = paired_difference({k: crystals[fold == k][None] for k in range(n_folds)}, names)
        covered.append(interval.low <= 0.1 <= interval.high)
    # Binomial standard deviation 0.009. With the folds as independent samples the second case has 0.80, the third 0.83.
    assert 0.92 <= np.mean(covered) <= 0.98


def test_one_group_alone_has_no_interval() -> None:
    assert np.isnan(paired_difference({0: np.ones((2, 9))}, {0: ["TiO2"] * 9})[1:]).all()
