r"""Comparison of every two models at once: which of them are tied with the best.

With M models there are M (M - 1) / 2 differences, and one of them is likely to look real by chance. The best model is
also chosen by the scores that it is compared with. Both are accounted for by correcting the p-values of all pairs
together. With the scores $s$, their bootstrap resamples $s^*$ and the standard error $e_{ij}$ of a difference over the
resamples, a pair has the statistic $|s_i - s_j| / e_{ij}$, and

$$ T^*_P = \max_{(i, j) \in P} | (s^*_i - s^*_j) - (s_i - s_j) | / e_{ij} $$

is the largest that chance gives in one of the pairs P. The p-value of a pair is the share of resamples in which
$T^*_P$ reaches its statistic, where P is the pairs with no larger statistic: those with a larger one are dealt with
before, so that clearly worse models do not make it harder to tell the good ones apart. A pair's p-value is at least
that of every pair dealt with before. With probability 95 % no two models that are equally good have a p-value of 0.05
or less, whichever pairs are looked at. This is the step-down max-T method (Westfall and Young, Resampling-Based
Multiple Testing, 1993, algorithm 2.8; Romano and Wolf, Econometrica 73, 1237 (2005)).
"""

import numpy as np

from sitenet.evaluation.statistics.bootstrap import Floats

_ROUNDING = 1e-12  # a variance this small, seen from those of the two scores, is none


def corrected_p_values(scores: Floats, replicates: Floats) -> Floats:
    """Corrected p-values of every two models being equally good.

    Args:
        scores: (M,) scores.
        replicates: (B, M) the same for each joint resample.

    Returns:
        (M, M) p-values, 1 on the diagonal; at least 1 / (B + 1).
    """
    statistics, weights = _statistics(scores, np.atleast_2d(np.cov(replicates.T)))
    deviations = np.ascontiguousarray((replicates - scores).T)
    first, second = np.triu_indices(len(scores), k=1)
    order = np.argsort(statistics[first, second], kind="stable")
    largest, p_values = np.zeros(len(replicates)), np.ones_like(statistics)
    for i, j in zip(first[order], second[order], strict=True):
        np.maximum(largest, np.abs(deviations[i] - deviations[j]) * weights[i, j], out=largest)
        p_values[i, j] = (1 + np.count_nonzero(largest >= statistics[i, j])) / (1 + len(largest))
    down = first[order[::-1]], second[order[::-1]]
    p_values[down] = np.maximum.accumulate(p_values[down])
    return np.minimum(p_values, p_values.T)


def _statistics(scores: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """(M, M) differences in units of their standard errors, and one over these errors.

    A difference that never varies is infinite, or zero if the scores are equal; its weight is zero.
    """
    own = np.diag(covariance)
    variances = own[:, None] + own - 2 * covariance
    varies = variances > _ROUNDING * (own[:, None] + own)
    weights = np.where(varies, 1 / np.sqrt(np.where(varies, variances, 1)), 0)
    equal = np.isclose(scores[:, None], scores, rtol=1e-9, atol=0)
    differences = np.abs(scores[:, None] - scores)
    return np.where(varies, differences * weights, np.where(equal, 0.0, np.inf)), weights
