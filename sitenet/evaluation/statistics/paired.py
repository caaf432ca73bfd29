r"""Difference of two trials that were trained several times, with an interval over seeds and test crystals.

Both trials are trained on the same folds with the same seeds and tested on the same crystals. On fold k let
$d_{sc}$ be the difference of their absolute errors for seed s and crystal c; the score is the mean over folds of
the mean of $d$. Both the seeds and the test crystals are random samples, so their variances add up,

$$ v = F^{-2} ( \sigma^2 \sum_k 1 / S_k + \tau^2 ), $$

with $\sigma^2$ the variance over seeds of a fold's mean difference, pooled over the F folds, and $\tau^2$ the variance
that is due to the choice of the crystals. Those of one group, that is with one reduced formula, are not independent,
also where they are in several folds. So it is that of a sample of clusters (Cochran, Sampling Techniques, 1977,
section 11), stratified by fold: with $x_{gk}$ the sum over the crystals of group g in fold k of
$(d_c - \bar d_k) / C_k$, d averaged over seeds, and $G_k$ the number of groups of the fold,

$$ \tau^2 = \sum_g ( \sum_k x_{gk} \sqrt{G_k / (G_k - 1)} )^2 . $$

The interval is Student's t with the degrees of freedom of Welch and Satterthwaite (Satterthwaite, Biometrics Bulletin
2, 110 (1946)): 2 if the variance over three seeds on one fold dominates, many if that over the crystals does. A
bootstrap over three seeds and the crystals would be too narrow: it underestimates the variance over seeds by a third
and treats it as exact. Where the seeds dominate, its 95 % interval contains the true difference in 83 % of cases. The
interaction of seed and crystal is part of both terms, which makes the interval slightly wider than needed.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import stdtrit

from sitenet.evaluation.statistics.bootstrap import Estimate, Floats


def paired_difference(
    differences: Mapping[int, Floats], groups: Mapping[int, Sequence[str]] | None = None, level: float = 0.95
) -> Estimate:
    """Mean difference with its interval over seeds and test crystals.

    With one seed per fold the variance over seeds is unknown, and the interval is over the crystals alone. If a fold
    has a single group, the interval is NaN.

    Args:
        differences: For each fold the (S, C) differences of the absolute errors, in the unit of the target.
        groups: For each fold the names of the crystals' C groups; None where every crystal is a group of its own.
        level: Coverage of the interval.
    """
    folds = list(differences.values())
    if not folds:
        return Estimate(np.nan, np.nan, np.nan)
    names = groups or {k: [f"{k} {i}" for i in range(fold.shape[1])] for k, fold in differences.items()}
    value = float(np.mean([fold.mean() for fold in folds]))
    if min(len(set(names[k])) for k in differences) < 2:
        return Estimate(value, np.nan, np.nan)
    variances, freedoms = np.array([_over_seeds(folds), _over_groups(folds, [names[k] for k in differences])]).T
    variance = variances.sum()
    if variance == 0:
        return Estimate(value, value, value)
    freedom = variance**2 / np.sum(variances**2 / freedoms)
    margin = float(stdtrit(freedom, (1 + level) / 2) * np.sqrt(variance)) / len(folds)
    return Estimate(value, value - margin, value + margin)


def _over_seeds(folds: Sequence[Floats]) -> tuple[float, int]:
    """Variance over seeds of the sum of the folds' means, and its degrees of freedom."""
    means = [fold.mean(axis=1) for fold in folds]
    freedom = max(1, sum(len(mean) - 1 for mean in means))
    pooled = sum(float(np.square(mean - mean.mean()).sum()) for mean in means) / freedom
    return pooled * sum(1 / len(mean) for mean in means), freedom


def _over_groups(folds: Sequence[Floats], names: Sequence[Sequence[str]]) -> tuple[float, int]:
    """Variance over groups of the sum of the folds' means, and its degrees of freedom."""
    codes = np.unique([name for own in names for name in own], return_inverse=True)[1]
    sums, freedom = np.zeros(codes.max() + 1), codes.max() + 1 - len(folds)
    for fold, own in zip(folds, np.split(codes, np.cumsum([len(n) for n in names])[:-1]), strict=True):
        crystals, n = fold.mean(axis=0), len(np.unique(own))
        shares = (crystals - crystals.mean()) / len(crystals) * np.sqrt(n / (n - 1))
        sums += np.bincount(own, shares, len(sums))
    return float(np.square(sums).sum()), max(1, freedom)
