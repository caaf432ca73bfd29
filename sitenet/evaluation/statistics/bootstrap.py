"""Uncertainty of benchmark scores: a bootstrap over test crystals that keeps folds and pairing.

The score of a model is the mean over folds of its fold MAE. Crystals are resampled with replacement within
each fold, since every fold has its own trained model. All models share the resamples, so the difference of
two models is a paired bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).
Intervals hold for these trained models; they do not include the variation between trainings.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_CHUNK_DRAWS = 4_000_000  # drawn crystals in memory at once, about 100 MB


class Estimate(NamedTuple):
    """A score with its interval, in the unit of the target; all NaN if nothing was scored."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Bootstrap:
    """Scores of M models on F folds with B joint resamples of the crystals.

    Attributes:
        observed: (F, M) MAE of each fold; NaN if a model was not scored on a fold.
        replicates: (B, F, M) the same for each resample.
        level: Coverage of the intervals.
    """

    observed: Floats
    replicates: Floats
    level: float = 0.95

    def score(self, model: int) -> Estimate:
        """Mean over the model's folds of its fold MAE."""
        folds = ~np.isnan(self.observed[:, model])
        return self._estimate(self.observed[folds, model], self.replicates[:, folds, model])

    def difference(self, model: int, other: int) -> Estimate:
        """Score of `model` minus score of `other` on the folds that both have."""
        observed = self.observed[:, model] - self.observed[:, other]
        folds = ~np.isnan(observed)
        replicates = self.replicates[:, folds, model] - self.replicates[:, folds, other]
        return self._estimate(observed[folds], replicates)

    def _estimate(self, observed: Floats, replicates: Floats) -> Estimate:
        if not len(observed):
            return Estimate(np.nan, np.nan, np.nan)
        low, high = percentile_interval(replicates.mean(axis=1), self.level)
        return Estimate(float(observed.mean()), low, high)


def bootstrap_scores(
    errors: Mapping[int, Floats], n_resamples: int = 10_000, seed: int = 0, level: float = 0.95
) -> Bootstrap:
    """Resamples the absolute errors of M models on the same crystals, fold by fold.

    Args:
        errors: For each fold the (C, M) absolute errors, averaged over seeds, one row per crystal; a model
            without a score on that fold has a column of NaN.
        n_resamples: Number of resamples B.
        seed: Random seed; each fold has a random stream of its own.
        level: Coverage of the intervals.
    """
    folds = sorted(errors)
    means = [_resampled_means(errors[k], n_resamples, np.random.default_rng([seed, k])) for k in folds]
    observed = np.stack([errors[k].mean(axis=0) for k in folds])
    return Bootstrap(observed, np.stack(means, axis=1), level)


def _resampled_means(errors: Floats, n_resamples: int, rng: np.random.Generator) -> Floats:
    """(B, M) column means of resampled rows of the (C, M) errors."""
    n = len(errors)
    chunk = max(1, _CHUNK_DRAWS // n)
    sizes = [min(chunk, n_resamples - start) for start in range(0, n_resamples, chunk)]
    return np.concatenate([_row_counts(n, size, rng) @ errors / n for size in sizes])


def _row_counts(n: int, n_resamples: int, rng: np.random.Generator) -> Floats:
    """(B, n) how often each of n rows is drawn in each resample."""
    drawn = rng.integers(n, size=(n_resamples, n))
    drawn += n * np.arange(n_resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=n_resamples * n)
    return counts.reshape(n_resamples, n).astype(np.float64)


def percentile_interval(replicates: Floats, level: float = 0.95) -> tuple[float, float]:
    """The central `level` percentile interval of (B,) replicates."""
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
