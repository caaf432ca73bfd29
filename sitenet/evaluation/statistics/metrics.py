"""Metrics of predictions; tables and tracking read the lists of `METRICS_OF`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sitenet.errors import UserError
from sitenet.evaluation.statistics import classification as classes
from sitenet.records import Metrics
from sitenet.tasks import BRIER, CLASSIFICATION, LOG_LOSS, MAE, REGRESSION, ROC_AUC, Score, Task, TaskName

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
class Metric(Score):
    """One metric of the predictions, or of the targets that they are compared with.

    Attributes:
        compute: Function of (C,) targets and (C,) predictions without NaN; gives NaN if C = 0.
        over_folds: How the values of several folds are combined: by their "mean" or the "largest" one.
    """

    compute: Callable[[Floats, Floats], float]
    over_folds: Literal["mean", "largest"] = field(default="mean", kw_only=True)

    @classmethod
    def of(cls, score: Score, compute: Callable[[Floats, Floats], float]) -> "Metric":
        """The metric that computes a score."""
        return cls(score.key, score.label, compute, better=score.better, has_unit=score.has_unit)

    def joined(self, values: Sequence[float]) -> float:
        """The combined value of several folds."""
        return float(np.mean(values)) if self.over_folds == "mean" else max(values)


METRICS = (
    Metric.of(MAE, mean_absolute_error),
    Metric("mad", "MAD of the targets", mean_absolute_deviation, better=None),
    Metric("mae_to_mad", "MAE / MAD", relative_absolute_error, has_unit=False),
    Metric("median_error", "median error", median_absolute_error),
    Metric("r2", "R2", coefficient_of_determination, better="higher", has_unit=False),
    Metric("rmse", "RMSE", root_mean_squared_error),
    Metric("max_error", "largest error", max_absolute_error, over_folds="largest"),
)
# Of predictions that are probabilities of class 1.
CLASS_METRICS = (
    Metric.of(ROC_AUC, classes.roc_auc),
    Metric("positives", "share of class 1", classes.share_of_positives, better=None, has_unit=False),
    Metric("f1", "F1", classes.f1, better="higher", has_unit=False),
    Metric("balanced_accuracy", "balanced accuracy", classes.balanced_accuracy, better="higher", has_unit=False),
    Metric.of(LOG_LOSS, classes.log_loss),
    Metric.of(BRIER, classes.brier),
    Metric("ece", "calibration error", classes.calibration_error, has_unit=False),
)
# The first one of each task ranks the models.
METRICS_OF: dict[TaskName, tuple[Metric, ...]] = {REGRESSION.name: METRICS, CLASSIFICATION.name: CLASS_METRICS}


def error_of(task: Task, target: Floats, prediction: Floats) -> float:
    """The error that chooses epochs and trials, of (C,) predictions."""
    metric = next(metric for metric in METRICS_OF[task.name] if metric.key == task.error.key)
    return metric.compute(target, prediction)


def compute_metrics(target: Floats, prediction: Floats, task: TaskName = "regression") -> Metrics:
    """All metrics of (C,) predictions; crystals with a NaN target are counted but not scored."""
    labelled = ~np.isnan(target)
    truth, guess = target[labelled], prediction[labelled]
    return Metrics(
        values={metric.key: metric.compute(truth, guess) for metric in METRICS_OF[task]},
        n_scored=len(truth),
        n_unlabelled=len(target) - len(truth),
    )


def score_predictions(
    predictions: pd.DataFrame, targets: pd.DataFrame, task: TaskName = "regression"
) -> tuple[Metrics, pd.DataFrame]:
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
    return compute_metrics(joined["target"].to_numpy(), joined["prediction"].to_numpy(), task), joined


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
