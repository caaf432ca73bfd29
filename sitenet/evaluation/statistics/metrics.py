"""Error metrics of predictions; tables and tracking read the list `METRICS`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sitenet.errors import UserError
from sitenet.records import Metrics

Floats = NDArray[np.float64]
_SHOWN_IDS = 5


def mean_absolute_error(target: Floats, prediction: Floats) -> float:
    """Mean of |prediction - target| over (C,) crystals, in their unit; NaN for none."""
    return float(np.abs(prediction - target).mean()) if len(target) else np.nan


def root_mean_squared_error(target: Floats, prediction: Floats) -> float:
    """Root of the mean squared error over (C,) crystals, in their unit; NaN for none."""
    return float(np.sqrt(np.square(prediction - target).mean())) if len(target) else np.nan


def max_absolute_error(target: Floats, prediction: Floats) -> float:
    """Largest |prediction - target| of (C,) crystals, in their unit; NaN for none."""
    return float(np.abs(prediction - target).max()) if len(target) else np.nan


def median_absolute_error(target: Floats, prediction: Floats) -> float:
    """Median of |prediction - target| over (C,) crystals, in their unit; NaN for none."""
    return float(np.median(np.abs(prediction - target))) if len(target) else np.nan


def mean_absolute_deviation(target: Floats, prediction: Floats) -> float:
    """Mean of |target - mean target| over (C,) crystals: the MAE of predicting their mean; NaN for none."""
    return float(np.abs(target - target.mean()).mean()) if len(target) else np.nan


def relative_absolute_error(target: Floats, prediction: Floats) -> float:
    """MAE as a share of the mean absolute deviation of the (C,) targets; NaN if these do not vary."""
    if not len(target) or np.ptp(target) < np.finfo(float).tiny:
        return np.nan
    return mean_absolute_error(target, prediction) / mean_absolute_deviation(target, prediction)


def coefficient_of_determination(target: Floats, prediction: Floats) -> float:
    """R2: 1 - sum of squared errors / sum of squared deviations of the (C,) targets; NaN if these do not vary."""
    if not len(target) or np.ptp(target) == 0:
        return np.nan
    variation = np.square(target - target.mean()).sum()
    if variation < np.finfo(float).tiny:  # the squares of tiny differences are 0, or of no precision
        return np.nan
    return float(1 - np.square(prediction - target).sum() / variation)


@dataclass(frozen=True)
class Metric:
    """One metric of the predictions, or of the targets that they are compared with.

    Attributes:
        key: Name in records and CSV files.
        label: Name in Markdown tables.
        compute: Function of (C,) targets and (C,) predictions without NaN; gives NaN if C = 0.
        better: Whether lower or higher values are better; None for one of the targets.
        has_unit: Whether the metric has the unit of the target.
        over_folds: How the values of several folds are combined: by their "mean" or the "largest" one.
    """

    key: str
    label: str
    compute: Callable[[Floats, Floats], float]
    better: Literal["lower", "higher"] | None = "lower"
    has_unit: bool = True
    over_folds: Literal["mean", "largest"] = "mean"

    def joined(self, values: Sequence[float]) -> float:
        """The combined value of several folds."""
        return float(np.mean(values)) if self.over_folds == "mean" else max(values)

    def header(self, unit: str) -> str:
        """The label with its unit, for the heading of a column."""
        return f"{self.label} ({unit})" if self.has_unit else self.label


# The MAE ranks the models, whatever its place here.
METRICS = (
    Metric("mae", "MAE", mean_absolute_error),
    Metric("mad", "MAD of the targets", mean_absolute_deviation, better=None),
    Metric("mae_to_mad", "MAE / MAD", relative_absolute_error, has_unit=False),
    Metric("median_error", "median error", median_absolute_error),
    Metric("r2", "R2", coefficient_of_determination, better="higher", has_unit=False),
    Metric("rmse", "RMSE", root_mean_squared_error),
    Metric("max_error", "largest error", max_absolute_error, over_folds="largest"),
)


def compute_metrics(target: Floats, prediction: Floats) -> Metrics:
    """All metrics of (C,) predictions; crystals with a NaN target are counted but not scored."""
    labelled = ~np.isnan(target)
    truth, guess = target[labelled], prediction[labelled]
    return Metrics(
        values={metric.key: metric.compute(truth, guess) for metric in METRICS},
        n_scored=len(truth),
        n_unlabelled=len(target) - len(truth),
    )


def score_predictions(predictions: pd.DataFrame, targets: pd.DataFrame) -> tuple[Metrics, pd.DataFrame]:
    """Scores predictions (id, prediction) against targets (id, target; null where unlabelled).

    Returns:
        The errors, and a frame (id, target, prediction) in the order of `targets`; with the uncertainty, where the
        predictions have one.

    Raises:
        UserError: The ids differ, an id occurs twice or a prediction is not a finite number.
    """
    _check_ids(predictions["id"], targets["id"])
    _check_finite(predictions)
    given = [name for name in ("prediction", "uncertainty") if name in predictions]
    joined = targets[["id", "target"]].merge(predictions[["id", *given]], on="id", validate="1:1")
    joined = joined.astype({"target": float, "prediction": float})
    return compute_metrics(joined["target"].to_numpy(), joined["prediction"].to_numpy()), joined


def _check_ids(predicted: pd.Series, expected: pd.Series) -> None:
    if expected.duplicated().any():
        raise UserError(f"targets have {_listed('repeated ids', expected[expected.duplicated()])}")
    problems = {
        "ids without a prediction": expected[~expected.isin(predicted)],
        "predicted ids that are not in the test set": predicted[~predicted.isin(expected)],
        "ids predicted more than once": predicted[predicted.duplicated()],
    }
    found = [_listed(problem, ids) for problem, ids in problems.items() if len(ids)]
    if found:
        raise UserError(f"predictions do not match the {len(expected)} test crystals: {'; '.join(found)}")


def _check_finite(predictions: pd.DataFrame) -> None:
    bad = predictions.loc[~np.isfinite(predictions["prediction"].to_numpy(dtype=float)), "id"]
    if len(bad):
        raise UserError(f"predictions have {_listed('ids with a value that is NaN or infinite', bad)}")


def _listed(problem: str, ids: pd.Series) -> str:
    distinct = ids.unique()
    shown = ", ".join(map(str, distinct[:_SHOWN_IDS])) + (", ..." if len(distinct) > _SHOWN_IDS else "")
    return f"{problem}: {len(distinct)} ({shown})"
