"""Which part of an axis to show."""

import numpy as np
from numpy.typing import ArrayLike


def shown_range(values: ArrayLike) -> tuple[float, float]:
    """Range of an axis that a few outliers do not stretch: at most twice as wide as the central 98 % of the values.

    Args:
        values: Any number of them, finite.

    Returns:
        Lower and upper end, with a margin; (0, 1) without values.
    """
    array = np.asarray(values, dtype=float).ravel()
    if not len(array):
        return 0.0, 1.0
    low, high = np.quantile(array, [0.01, 0.99])
    beyond = (high - low) / 2 or np.inf
    low, high = max(array.min(), low - beyond), min(array.max(), high + beyond)
    margin = 0.03 * (high - low) or abs(high) * 0.05 or 0.5
    return float(low - margin), float(high + margin)
