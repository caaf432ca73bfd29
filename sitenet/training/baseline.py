"""Fits a baseline: a regressor on features of crystals, validated and then fitted to the whole training part."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sitenet.config.trial import Trial
from sitenet.evaluation.statistics.metrics import error_of
from sitenet.evaluation.tables.rounding import measured
from sitenet.tasks import REGRESSION, Task

logger = logging.getLogger("sitenet")


@dataclass(frozen=True)
class BaselineRun:
    """Predictions and validation error of a baseline on one fold.

    Attributes:
        predictions: (id, prediction) of the test crystals.
        validation_error: Error of the fit on the part "train" alone, in the unit of the target if it has one.
        n_train: Labelled crystals that the model behind `predictions` was fitted to, with the part "validation".
        n_validation: Labelled crystals of the part "validation".
    """

    predictions: pd.DataFrame
    validation_error: float
    n_train: int
    n_validation: int


def fit_baseline(
    trial: Trial,
    training: pd.DataFrame,
    test_ids: Sequence[str],
    features: pd.DataFrame,
    non_negative: bool,
    seed: int,
    threads: int,
    task: Task = REGRESSION,
) -> BaselineRun:
    """Validates a baseline, fits it again on the whole training part and predicts the test crystals.

    A baseline has no early stopping and needs no held-out crystals, so the second fit uses them, too.
    Crystals without a target are left out.

    Args:
        trial: A trial of a baseline.
        training: (id, target, part) with part "train" or "validation".
        test_ids: Ids of the test crystals.
        features: An id and the features of every crystal, as `write_composition_features` stores them.
        non_negative: The target cannot be negative, so predictions are clamped at 0.
        seed: Random seed of the regressor.
        threads: Number of threads; the predictions do not depend on it.
        task: What is predicted.
    """
    features = features.set_index("id")
    labelled = training[training["target"].notna()]
    fitting, validation = (labelled[labelled["part"] == part] for part in ("train", "validation"))
    first, second = (trial.build_baseline(task, seed, threads) for _ in range(2))
    validated = _fit_predict(first, fitting, validation["id"], features, non_negative)
    error = error_of(task, validation["target"].to_numpy(dtype=float), validated)
    found = f"{task.error.label} {measured(error)}"
    logger.info("%s: validation %s; fits again to %d crystals", trial.kind, found, len(labelled))
    predicted = _fit_predict(second, labelled, test_ids, features, non_negative)
    return BaselineRun(
        predictions=pd.DataFrame({"id": test_ids, "prediction": predicted}),
        validation_error=error,
        n_train=len(labelled),
        n_validation=len(validation),
    )


def _fit_predict(
    regressor: Any, training: pd.DataFrame, ids: Sequence[str] | pd.Series, features: pd.DataFrame, non_negative: bool
) -> NDArray[np.float64]:
    """(C,) predictions for `ids` of a regressor fitted to `training`; no ids, no predictions."""
    if not len(ids):
        return np.empty(0)
    regressor.fit(features.loc[training["id"]].to_numpy(), training["target"].to_numpy(dtype=float))
    predictions = regressor.predict(features.loc[list(ids)].to_numpy()).astype(np.float64)
    return predictions.clip(min=0) if non_negative else predictions
