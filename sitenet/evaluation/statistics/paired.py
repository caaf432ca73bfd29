r"""Difference of two trials that were trained several times, with an interval beyond the trainings at hand.

Both trials are trained on the same folds with the same seeds and tested on the same crystals. On fold k let
$d_{sc}$ be the difference of their absolute errors for seed s and crystal c; the score is the mean over folds of
the mean of $d$. Both the seeds and the test crystals might have been others, so their variances add up,

$$ v = F^{-2} \sum_k ( \sigma^2 / S_k + \tau_k^2 / C_k ), $$

with $\sigma^2$ the variance over seeds of a fold's mean difference, pooled over the F folds, and $\tau_k^2$ the
variance over crystals of the difference averaged over seeds. The interval is Student's t with the degrees of
freedom of Welch and Satterthwaite (Satterthwaite, Biometrics Bulletin 2, 110 (1946)): 2 where three seeds on one
fold decide, many where the crystals do. A bootstrap over three seeds and the crystals would be too narrow, as it
takes the seeds' variance for a third smaller and for certain: where the seeds decide it covers the truth 83 times
in 100. What a single training adds on a single crystal is in both terms, which makes the interval a little wider
than needed.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import stdtrit

from sitenet.evaluation.statistics.bootstrap import Estimate, Floats


def paired_difference(differences: Mapping[int, Floats], level: float = 0.95) -> Estimate:
    """Mean difference with its interval over seeds and test crystals.

    With one seed a fold nothing is known of the spread over seeds: the interval then contains the crystals
    alone. There is none where a fold has a single crystal.

    Args:
        differences: For each fold the (S, C) differences of the absolute errors, in the unit of the target.
        level: Coverage of the interval.
    """
    folds = list(differences.values())
    if not folds:
        return Estimate(np.nan, np.nan, np.nan)
    value = float(np.mean([fold.mean() for fold in folds]))
    if min(fold.shape[1] for fold in folds) < 2:
        return Estimate(value, np.nan, np.nan)
    variances, freedoms = np.array([_over_seeds(folds), *map(_over_crystals, folds)]).T
    variance = variances.sum()
    if variance == 0:
        return Estimate(value, value, value)
    freedom = variance**2 / np.sum(variances**2 / freedoms)
    margin = float(stdtrit(freedom, (1 + level) / 2) * np.sqrt(variance)) / len(folds)
    return Estimate(value, value - margin, value + margin)


def _over_seeds(folds: Sequence[Floats]) -> tuple[float, int]:
    """Variance that the seeds give the sum of the folds' means, and its degrees of freedom."""
    means = [fold.mean(axis=1) for fold in folds]
    freedom = max(1, sum(len(mean) - 1 for mean in means))
    pooled = sum(float(np.square(mean - mean.mean()).sum()) for mean in means) / freedom
    return pooled * sum(1 / len(mean) for mean in means), freedom


def _over_crystals(fold: Floats) -> tuple[float, int]:
    """Variance that the crystals give the fold's mean, and its degrees of freedom."""
    n = fold.shape[1]
    return float(fold.mean(axis=0).var(ddof=1)) / n, n - 1
