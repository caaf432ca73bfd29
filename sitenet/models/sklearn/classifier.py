"""Builds a classifier from its import path and parameters."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sitenet.errors import UserError
from sitenet.models.sklearn.regressor import Regressor, make
from sitenet.models.sklearn.settings import SklearnSettings


class Classifier(Regressor):
    """A classifier of two classes, 0 and 1, whose predictions are probabilities of class 1."""

    def fit(self, features: NDArray[np.floating], targets: NDArray[np.float64]) -> "Classifier":
        """Fits to (C, F) features and (C,) targets.

        Raises:
            UserError: It takes neither its parameters nor the features, or there is one class alone.
        """
        if len(np.unique(targets)) < 2:
            raise UserError(f"{self.name} cannot be fitted: all {len(targets)} training crystals are of one class")
        super().fit(features, targets.astype(np.int64))
        return self

    def _predict(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        return self.model.predict_proba(features)[:, 1]


def build(settings: SklearnSettings, seed: int, threads: int) -> Classifier:
    """An unfitted classifier that is fitted in `threads` threads."""
    return build_classifier(settings.estimator, settings.parameters, seed, threads, settings.standardise)


def build_classifier(
    estimator: str, parameters: Mapping[str, Any], seed: int, threads: int, standardise: bool = False
) -> Classifier:
    """An unfitted classifier; see `build_regressor` for the arguments.

    Raises:
        UserError: There is no such classifier, it does not have one of the parameters, or it gives no probabilities.
    """
    inner, name = make(estimator, parameters, seed, threads, "classifier"), estimator.rpartition(".")[2]
    if not hasattr(inner, "predict_proba"):
        raise UserError(f"model.estimator: {name} gives no probabilities (predict_proba) with these parameters")
    return Classifier(name, inner, standardise)
