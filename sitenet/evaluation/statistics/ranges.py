"""Which part of an axis to show, and where its numbers stand."""

import numpy as np
from numpy.typing import ArrayLike

ROUNDING = 1e-9  # a range this small, seen from its ends, is none


def shown_range(values: ArrayLike) -> tuple[float, float]:
    """Range of an axis that a few outliers do not stretch: at most thrice as wide as the central 95 % of the values.

    Args:
        values: Any number of them, finite.

    Returns:
        Lower and upper end, with a margin; (0, 1) without values.
    """
    array = np.asarray(values, dtype=float).ravel()
    if not len(array):
        return 0.0, 1.0
    low, high = np.quantile(array, [0.025, 0.975])
    beyond = (high - low) or np.inf
    return _with_margin(max(array.min(), low - beyond), min(array.max(), high + beyond))


def parity_range(reference: ArrayLike, prediction: ArrayLike) -> tuple[float, float]:
    """Range of both axes of predictions against references: that of the references, and of predictions not far from it.

    Args:
        reference: Any number of reference values, finite.
        prediction: Predictions.

    Returns:
        Lower and upper end, with a margin. Outside are one in a thousand predictions at either end, and what is farther
        from the references than a quarter of their range.
    """
    guesses = np.asarray(prediction, dtype=float).ravel()
    low, high = shown_range(reference)
    if not len(guesses):
        return low, high
    beyond = (high - low) / 4
    lowest, highest = np.quantile(guesses, [0.001, 0.999])
    return _with_margin(min(low, max(lowest, low - beyond)), max(high, min(highest, high + beyond)))


def _with_margin(low: float, high: float) -> tuple[float, float]:
    width = high - low if high - low > ROUNDING * max(abs(low), abs(high)) else 0.0
    margin = 0.03 * width or abs(high) * 0.05 or 0.5
    return float(low - margin), float(high + margin)


def log_ticks(low: float, high: float, fewest: int = 3) -> list[float]:
    """Places of the numbers on a logarithmic axis from `low` to `high`, both positive: at least `fewest`, all round.

    They are powers of ten where these are enough, otherwise 1, 3 or 1, 2, 5 in each decade, and so on to equal steps.
    """
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 6, 8)):
        ticks = [float(f"{step}e{decade}") for decade in decades for step in steps]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) >= fewest:
            return inside
    step = 10.0 ** np.floor(np.log10((high - low) / fewest))
    wide = [step * k for k in (5, 2, 1) if (high - low) / (step * k) >= fewest]
    first = np.ceil(low / wide[0])
    return [float(f"{wide[0] * k:.12g}") for k in np.arange(first, np.floor(high / wide[0]) + 1)]
