"""Conformal intervals and the probability of a metal, calibrated on crystals that an ensemble has not learnt from.

Split conformal prediction (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005; within groups:
section 4.5). The errors of crystals with known targets say how large those of others are. Crystals are grouped by the
predicted value, and within such a class by the spread of the networks. Each group has intervals of its own. If a new
crystal is drawn like those of its group, an interval of level 0.95 contains its target with a probability of at least
0.95.
"""

from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sitenet.errors import UserError
from sitenet.records import FileRecord, Record

Floats = NDArray[np.float64]
LEVELS = (0.8, 0.95)
MIN_GROUP, MAX_CLASSES, MAX_SPREADS = 200, 8, 5
HIGH_SPREAD = 0.95  # share of crystals with a smaller spread than one that is called high


class Group(Record):
    """Crystals of one class with similar spreads.

    Attributes:
        spread: Smallest spread.
        n: Number of crystals it was calibrated on.
        low: For each level, the lower end of the interval minus the prediction.
        high: For each level, the upper end minus the prediction.
    """

    spread: float
    n: int
    low: tuple[float, ...]
    high: tuple[float, ...]


class PredictionClass(Record):
    """Crystals with similar predictions: the smallest prediction, and their groups in ascending order of spread."""

    prediction: float
    groups: tuple[Group, ...]


class Calibration(FileRecord):
    """Intervals of an ensemble's predictions, in the unit of its target.

    Attributes:
        n: Number of crystals it was calibrated on.
        non_negative: Whether no target is negative. Crystals with the target 0 then count as metals.
        classes: In ascending order of the prediction.
        metal_prediction: Predictions, ascending, between which the probability of a metal is interpolated.
        metal_probability: The probability at each of them; both are empty if there are no metals.
        high_spread: Spread that one crystal in twenty exceeds.
    """

    n: int
    non_negative: bool
    classes: tuple[PredictionClass, ...]
    metal_prediction: tuple[float, ...]
    metal_probability: tuple[float, ...]
    high_spread: float

    @classmethod
    def fit(cls, targets: Floats, predictions: Floats, spreads: Floats, non_negative: bool) -> Self:
        """Calibrates on crystals that neither trained the networks nor chose their epochs.

        Args:
            targets: (C,) reference values.
            predictions: (C,) means over the networks.
            spreads: (C,) standard deviations over the networks; all 0 for a single network.
            non_negative: Whether no target can be negative.

        Raises:
            UserError: There are fewer than `MIN_GROUP` crystals, or a value is not finite.
        """
        if len(targets) < MIN_GROUP:
            raise UserError(f"{len(targets)} crystals are too few to calibrate intervals: at least {MIN_GROUP}")
        if not np.isfinite([targets, predictions, spreads]).all():
            raise UserError("intervals cannot be calibrated: a target, prediction or spread is not finite")
        classes = [
            PredictionClass(prediction=start, groups=tuple(_groups((targets - predictions)[inside], spreads[inside])))
            for start, inside in _parts(predictions, MAX_CLASSES)
        ]
        metals = _metal_curve(targets == 0, predictions) if non_negative and (targets == 0).any() else ((), ())
        return cls(
            n=len(targets),
            non_negative=non_negative,
            classes=tuple(classes),
            metal_prediction=metals[0],
            metal_probability=metals[1],
            high_spread=float(np.quantile(spreads, HIGH_SPREAD)),
        )

    def intervals(self, predictions: Floats, spreads: Floats) -> pd.DataFrame:
        """Columns low_80, high_80, low_95 and high_95 for (C,) predictions and spreads."""
        ends = np.empty((len(predictions), 2, len(LEVELS)))
        number = _place(predictions, [one.prediction for one in self.classes])
        for k, one in enumerate(self.classes):
            inside = number == k
            place = _place(spreads[inside], [group.spread for group in one.groups])
            ends[inside] = np.array([[group.low, group.high] for group in one.groups])[place]
        ends += predictions[:, None, None]
        if self.non_negative:
            ends = np.maximum(ends, 0)
            for k, level in enumerate(LEVELS):  # what may be a metal must not be outside
                ends[self.metal(predictions) > (1 - level) / 2, 0, k] = 0
        names = [f"{side}_{level * 100:.0f}" for level in LEVELS for side in ("low", "high")]
        return pd.DataFrame(ends.transpose(0, 2, 1).reshape(len(predictions), len(names)), columns=names)

    def metal(self, predictions: Floats) -> Floats:
        """(C,) probabilities that the target is 0; NaN if the targets had no metals."""
        if not self.metal_prediction:
            return np.full(len(predictions), np.nan)
        return np.interp(predictions, self.metal_prediction, self.metal_probability)


def _parts(values: Floats, most: int) -> list[tuple[float, NDArray[np.bool_]]]:
    """Parts of about equal size, of `MIN_GROUP` values at least: where each starts, and a mask of its values.

    Where many values are the smallest one, as the prediction 0 for metals, they are a part of their own.
    """
    least = values.min()
    others = values[values > least]
    if len(values) - len(others) < MIN_GROUP or len(others) < MIN_GROUP:
        others = values
    n = min(most, len(others) // MIN_GROUP)
    starts = np.unique([least, *np.quantile(others, np.arange(n) / n, method="higher")])
    place = _place(values, starts)
    return [(float(start), place == k) for k, start in enumerate(starts)]


def _place(values: Floats, starts: "list[float] | Floats") -> NDArray[np.intp]:
    """Number of the part that holds each value; smaller values than any are in the first."""
    return np.maximum(np.searchsorted(starts, values, side="right") - 1, 0)


def _groups(residuals: Floats, spreads: Floats) -> list[Group]:
    """The groups of a class, with the quantiles of target minus prediction that a conformal interval needs."""
    found = []
    for start, inside in _parts(spreads, MAX_SPREADS):
        ordered = np.sort(residuals[inside])
        n = len(ordered)
        ranks = [
            int((n + 1) * (1 - level) / 2 + 1e-9) for level in LEVELS
        ]  # so many of n + 1 are outside, on either side
        low = tuple(float(ordered[rank - 1]) if rank else -np.inf for rank in ranks)
        high = tuple(float(ordered[n - rank]) if rank else np.inf for rank in ranks)
        found.append(Group(spread=start, n=n, low=low, high=high))
    return found


def _metal_curve(is_metal: NDArray[np.bool_], predictions: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Isotonic regression: the larger the prediction, the less probable a metal."""
    from sklearn.isotonic import IsotonicRegression  # whoever predicts need not wait for its import

    fit = IsotonicRegression(increasing=False, y_min=0, y_max=1).fit(predictions, is_metal)
    return tuple(fit.X_thresholds_.tolist()), tuple(fit.y_thresholds_.tolist())
