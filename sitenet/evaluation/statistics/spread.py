"""How much scores vary between folds, and between seeds: two sources that are kept apart.

Folds differ in their training and test crystals, seeds in the random numbers of a training alone. Both are standard
deviations of single scores, not of their mean. With the few folds and seeds of a benchmark they are rough themselves:
the standard deviation of five values is known to about 35 %.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np


def over_folds(scores: Collection[float]) -> float:
    """Sample standard deviation (n - 1) of the scores of single folds; NaN for fewer than two."""
    return float(np.std(list(scores), ddof=1)) if len(scores) > 1 else np.nan


def over_seeds(scores: Mapping[int, Sequence[float]]) -> float:
    """Sample standard deviation over the seeds of one fold, pooled over folds; NaN if no fold has two seeds.

    Args:
        scores: For each fold the scores of its seeds.
    """
    freedom = sum(len(own) - 1 for own in scores.values())
    squares = sum(float(np.square(np.array(own) - np.mean(own)).sum()) for own in scores.values())
    return float(np.sqrt(squares / freedom)) if freedom > 0 else np.nan
