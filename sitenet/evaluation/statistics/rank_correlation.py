"""Rank correlation of two properties of crystals, with an interval over groups of crystals.

The interval is that of the Bayesian bootstrap over groups (`statistics.bootstrap`): in each resample the correlation of
the ranks is weighted by the random weights of the groups. The ranks themselves are not drawn again.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sitenet.evaluation.statistics.bootstrap import MIN_GROUPS, Estimate, Floats, group_weights, percentile_interval

_CHUNK_GROUPS = 1000


def rank_correlation(x: Floats, y: Floats, groups: Sequence[str], n_resamples: int = 10_000, seed: int = 0) -> Estimate:
    """Spearman's correlation of (C,) values x and y, with its 95 % interval; all NaN where one of them is constant.

    Args:
        x: (C,) values of one property.
        y: (C,) values of the other one.
        groups: Names of the crystals' C groups, which are resampled as one; from few groups there is no interval.
        n_resamples: Number of resamples.
        seed: Random seed.
    """
    ranks = pd.DataFrame({"x": x, "y": y}).rank()
    ranks -= ranks.mean()
    if len(ranks) < 2 or not ranks.any().all():
        return Estimate(np.nan, np.nan, np.nan)
    own, other = ranks["x"], ranks["y"]
    terms = pd.DataFrame({"n": 1.0, "x": own, "y": other, "xx": own**2, "yy": other**2, "xy": own * other})
    sums = terms.groupby(list(groups)).sum()
    value = float(_correlation(sums.to_numpy().sum(axis=0)))
    if len(sums) < MIN_GROUPS:
        return Estimate(value, np.nan, np.nan)
    drawn = np.zeros((terms.shape[1], n_resamples))
    for start in range(0, len(sums), _CHUNK_GROUPS):
        part = sums.iloc[start : start + _CHUNK_GROUPS]
        drawn += part.to_numpy().T @ np.stack([group_weights(str(name), n_resamples, seed) for name in part.index])
    return Estimate(value, *percentile_interval(_correlation(drawn)))


def _correlation(sums: Floats) -> Floats:
    """Pearson's correlation from weighted sums of 1, x, y, x^2, y^2 and x y, (6, ...)."""
    n, x, y, xx, yy, xy = sums
    return (n * xy - x * y) / np.sqrt((n * xx - x**2) * (n * yy - y**2))
