r"""Comparison of every two models at once: which of them are tied with the best.

With M models there are M (M - 1) / 2 differences, and one of them is likely to look real by chance. The best model is
also chosen by the scores that it is compared with. Both are accounted for by the largest of all studentised
differences,

$$ T^* = \max_{i<j} | (s^*_i - s^*_j) - (s_i - s_j) | / e_{ij}, $$

with the scores $s$, their bootstrap resamples $s^*$ and the standard error $e_{ij}$ of a difference over the
resamples. The p-value of a pair is the share of resamples whose $T^*$ reaches the pair's own $|s_i - s_j| / e_{ij}$.
With probability 95 % no two models that are equally good have one of 0.05 or less, whichever pairs are looked at.
This is the single-step max-T method (Westfall and Young, Resampling-Based Multiple Testing, 1993; Hothorn, Bretz and
Westfall, Biom. J. 50, 346 (2008)), for all pairs, as Tukey's test does it under equal variances.
"""

from dataclasses import dataclass

import numpy as np

from sitenet.evaluation.statistics.bootstrap import Floats

_ROUNDING = 1e-12  # a variance this small, seen from those of the two scores, is none


@dataclass(frozen=True)
class Simultaneous:
    """All differences of M scores.

    Attributes:
        statistics: (M, M) |difference| of two scores in units of its standard error; infinite if it never varies.
        maxima: (B,) largest studentised deviation of a difference in each resample.
    """

    statistics: Floats
    maxima: Floats

    def p_value(self, i: int, j: int) -> float:
        """Corrected p-value of models i and j being equally good."""
        return float((1 + np.sum(self.maxima >= self.statistics[i, j])) / (1 + len(self.maxima)))


def compare_all(scores: Floats, replicates: Floats) -> Simultaneous:
    """Compares every two models.

    Args:
        scores: (M,) scores.
        replicates: (B, M) the same for each joint resample.
    """
    deviations = replicates - scores
    covariance = np.atleast_2d(np.cov(replicates.T))
    own = np.diag(covariance)
    variances = own[:, None] + own - 2 * covariance
    varies = variances > _ROUNDING * (own[:, None] + own)
    weights = np.where(varies, 1 / np.sqrt(np.where(varies, variances, 1)), 0)
    differences = np.abs(scores[:, None] - scores)
    equal = np.isclose(scores[:, None], scores, rtol=1e-9, atol=0)
    statistics = np.where(varies, differences * weights, np.where(equal, 0.0, np.inf))
    maxima = np.zeros(len(replicates))
    for i in range(len(scores) - 1):
        largest = (np.abs(deviations[:, i + 1 :] - deviations[:, i, None]) * weights[i, i + 1 :]).max(axis=1)
        np.maximum(maxima, largest, out=maxima)
    return Simultaneous(statistics, maxima)
