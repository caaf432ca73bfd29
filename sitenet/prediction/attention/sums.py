"""Sums over crystals from which maps and numbers of attention heads are made."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import xlogy

from sitenet.evaluation.attention.record import LOG_STEP, STEP
from sitenet.prediction.attention.pairs import N_STEPS, Floats, Pairs

LOWEST = -8.0  # lower end of the first bin of log10(weight), in which what is less stands, too
N_LOG_STEPS = round(-LOWEST / LOG_STEP)


@dataclass
class HeadSums:
    """Sums over crystals of the mean over a crystal's sites, for T tables of weights: each a head, or equal weights.

    Attributes:
        self_weight: (T,) weight of a site on itself.
        entropy: (T,) entropy of its weights.
        product: (T,) weights times distances.
        profile: (T, `N_STEPS`) weight on other sites, by distance.
        n: Number of crystals.
    """

    self_weight: Any = 0.0
    entropy: Any = 0.0
    product: Any = 0.0
    profile: Any = 0.0
    n: int = 0

    def add(self, pairs: Pairs, alpha_ET: Floats) -> None:
        """Adds the crystals of a batch; `alpha_ET` are weights of reduced pairs, a column for each table."""
        share_E1 = pairs.row_share[:, None]
        self.self_weight += (alpha_ET * share_E1)[pairs.itself].sum(axis=0)
        self.entropy -= (xlogy(alpha_ET, alpha_ET / pairs.counts[:, None]) * share_E1).sum(axis=0)
        self.product += (alpha_ET * share_E1 * pairs.distances[:, None]).sum(axis=0)
        others = ~pairs.itself
        weights = (alpha_ET * share_E1)[others]
        self.profile += np.stack([np.bincount(pairs.steps[others], own, N_STEPS) for own in weights.T])
        self.n += pairs.n_crystals

    def means(self) -> pd.DataFrame:
        """A row for each table: self_weight, entropy, mean_distance and half_distance."""
        profile = np.atleast_2d(self.profile)
        others = profile.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            distances = {"mean_distance": self.product / others, "half_distance": _half(profile)}
        return pd.DataFrame({"self_weight": self.self_weight / self.n, "entropy": self.entropy / self.n} | distances)


def _half(profile: Floats) -> Floats:
    """(T,) distance within which half of the weight on other sites lies; linear within a bin, NaN without weight."""
    edges, halves = np.arange(N_STEPS + 1) * STEP, []
    for own in profile:
        summed = np.concatenate([[0], own.cumsum()])
        halves.append(np.interp(0.5, summed / summed[-1], edges) if summed[-1] > 0 else np.nan)
    return np.array(halves)


def weight_map(pairs: Pairs, weights_ET: Floats) -> Floats:
    """(T, `N_STEPS` * `N_LOG_STEPS`) numbers of pairs of two sites by distance and weight."""
    others = ~pairs.itself
    with np.errstate(divide="ignore"):
        places = (np.log10(weights_ET[others]) - LOWEST) / LOG_STEP
    log_steps = np.clip(places, 0, N_LOG_STEPS - 1).astype(np.int64)
    bins, n = pairs.steps[others, None] * N_LOG_STEPS + log_steps, (pairs.counts * pairs.rows)[others]
    return np.stack([np.bincount(own, n, N_STEPS * N_LOG_STEPS) for own in bins.T])
