"""Uncertainty of benchmark scores: a bootstrap over groups of test crystals that keeps folds and pairing.

The score of a model is the mean over folds of its fold MAE, or of another score (`areas`). Crystals of one group, that
is with one reduced formula, are not independent: polymorphs are hard or easy together. What is resampled are therefore
groups (a cluster bootstrap; Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8). Every
resample gives each group a random weight, the same in every fold and for every model, so the difference of two models
is a paired bootstrap. The weights are exponential, which is the Bayesian bootstrap (Rubin, Ann. Stat. 9, 130 (1981)):
like counts of drawn groups they have mean and variance 1, but no fold is ever left empty, and intervals of skewed
errors cover better (Weng, Ann. Stat. 17, 705 (1989)). Intervals hold for these trained models; they do not include the
variation between trainings.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# From fewer groups no interval is given: docs/statistics.md shows how often such intervals contain the truth.
MIN_GROUPS = 50
ROUNDING = 1e-12  # a difference this small, seen from the scores themselves, is none
_CHUNK_WEIGHTS = 10_000_000  # weights in memory at once, 80 MB


class Estimate(NamedTuple):
    """A score with its interval, in the unit of the target; NaN if nothing was scored, or too few for an interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Bootstrap:
    """Scores of M models on F folds with B joint resamples of the groups.

    Attributes:
        observed: (F, M) score of each fold, such as the MAE; NaN if a model was not scored on a fold.
        replicates: (B, F, M) the same for each resample.
        present: (G, F) whether a group has crystals in a fold.
        level: Coverage of the intervals.
    """

    observed: Floats
    replicates: Floats
    present: NDArray[np.bool_]
    level: float = 0.95

    def score(self, model: int) -> Estimate:
        """Mean over the model's folds of its score of the fold."""
        folds = ~np.isnan(self.observed[:, model])
        observed = self.observed[:, model]
        return self._estimate(observed, self.replicates[:, folds, model], folds, observed)

    def difference(self, model: int, other: int) -> Estimate:
        """Score of `model` minus score of `other` on the folds that both have."""
        observed = self.observed[:, model] - self.observed[:, other]
        folds = ~np.isnan(observed)
        replicates = self.replicates[:, folds, model] - self.replicates[:, folds, other]
        return self._estimate(observed, replicates, folds, self.observed[:, [model, other]])

    def of_fold(self, place: int) -> "Bootstrap":
        """The same resamples of one fold alone, by its place among the F folds."""
        one = [place]
        return replace(
            self, observed=self.observed[one], replicates=self.replicates[:, one], present=self.present[:, one]
        )

    def n_groups(self, folds: NDArray[np.bool_] | None = None) -> int:
        """Number of groups in all folds, or in those that an (F,) mask selects."""
        key = b"" if folds is None else folds.tobytes()
        if key not in self._counts:
            present = self.present if folds is None else self.present[:, folds]
            self._counts[key] = int(present.any(axis=1).sum())
        return self._counts[key]

    @cached_property
    def _counts(self) -> dict[bytes, int]:
        return {}

    def _estimate(self, observed: Floats, replicates: Floats, folds: NDArray[np.bool_], scores: Floats) -> Estimate:
        """The mean over `folds` with its interval; what is less than the rounding of the `scores` behind it is zero."""
        if not folds.any():
            return Estimate(np.nan, np.nan, np.nan)
        rounding = ROUNDING * float(np.abs(scores[folds]).max())
        value = float(observed[folds].mean())
        value = 0.0 if abs(value) <= rounding else value
        if self.n_groups(folds) < MIN_GROUPS:
            return Estimate(value, np.nan, np.nan)
        low, high = percentile_interval(replicates.mean(axis=1), self.level)
        return Estimate(value, low, high) if high - low > rounding else Estimate(value, value, value)


def bootstrap_scores(
    errors: Mapping[int, Floats],
    groups: Mapping[int, Sequence[str]],
    n_resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> Bootstrap:
    """Resamples the absolute errors of M models on the same crystals.

    Args:
        errors: For each fold the (C, M) absolute errors, averaged over seeds, one row per crystal; a model
            without a score on that fold has a column of NaN.
        groups: For each fold the names of the crystals' C groups; a name means the same group in every fold.
        n_resamples: Number of resamples B.
        seed: Random seed. A group's weights follow from it and the group's name, so that neither another model nor
            another fold moves them.
        level: Coverage of the intervals.
    """
    folds = sorted(errors)
    summed = {k: pd.DataFrame(errors[k]).assign(size=1.0).groupby(list(groups[k])).sum(min_count=1) for k in folds}
    names = sorted({name for frame in summed.values() for name in frame.index})
    sums = np.zeros((len(folds), errors[folds[0]].shape[1] + 1, n_resamples))
    chunk = max(1, _CHUNK_WEIGHTS // n_resamples)
    for start in range(0, len(names), chunk):
        drawn = names[start : start + chunk]
        weights = np.stack([group_weights(name, n_resamples, seed) for name in drawn])
        for total, frame in zip(sums, summed.values(), strict=True):
            places = frame.index.get_indexer(pd.Index(drawn))
            total += frame.to_numpy()[places[places >= 0]].T @ weights[places >= 0]
    observed = np.stack([errors[k].mean(axis=0) for k in folds])
    present = np.stack([pd.Index(names).isin(frame.index) for frame in summed.values()], axis=1)
    return Bootstrap(observed, (sums[:, :-1] / sums[:, -1:]).transpose(2, 0, 1), present, level)


def group_weights(group: str, n_resamples: int, seed: int) -> Floats:
    """(B,) weights of a group in each resample."""
    return group_generator(group, seed).standard_exponential(n_resamples)


def group_generator(group: str, seed: int) -> np.random.Generator:
    """What a group's weights are drawn from, one resample after the other."""
    number = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8])
    return np.random.default_rng([seed, number])


def percentile_interval(replicates: Floats, level: float = 0.95) -> tuple[float, float]:
    """The central `level` percentile interval of (B,) replicates."""
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
