"""Builds a regressor from its import path and parameters."""

from collections.abc import Mapping
from importlib import import_module
from inspect import Parameter, signature
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier, is_regressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sitenet.errors import UserError, plain
from sitenet.models.sklearn.settings import SklearnSettings, check_estimator
from sitenet.settings.problems import unknown


class Regressor:
    """A regressor whose predictions do not depend on the number of threads, and whose refusals are one line."""

    def __init__(self, name: str, inner: Any, standardise: bool):
        self.name, self.inner = name, inner
        self.model = make_pipeline(StandardScaler(), inner) if standardise else inner

    def fit(self, features: NDArray[np.floating], targets: NDArray[np.float64]) -> "Regressor":
        """Fits to (C, F) features and (C,) targets.

        Raises:
            UserError: It takes neither its parameters nor the features.
        """
        try:
            self.model.fit(features, targets)
        except (ValueError, TypeError) as error:
            raise UserError(f"{self.name} cannot be fitted: {_short(error)}") from error
        return self

    def predict(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """(C,) predictions for (C, F) features.

        Raises:
            UserError: It does not take the features.
        """
        if "n_jobs" in self.inner.get_params(deep=False):
            # Threads of a forest would add the trees' votes in changing order, and so round differently.
            self.inner.set_params(n_jobs=1)
        try:
            return np.asarray(self._predict(features), dtype=np.float64).reshape(len(features))
        except (ValueError, TypeError) as error:
            raise UserError(f"{self.name} cannot predict: {_short(error)}") from error

    def _predict(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        return self.model.predict(features)


def build(settings: SklearnSettings, seed: int, threads: int) -> Regressor:
    """An unfitted regressor that is fitted in `threads` threads."""
    return build_regressor(settings.estimator, settings.parameters, seed, threads, settings.standardise)


def build_regressor(
    estimator: str, parameters: Mapping[str, Any], seed: int, threads: int, standardise: bool = False
) -> Regressor:
    """An unfitted regressor.

    Args:
        estimator: Its import path.
        parameters: Its parameters by name, without seed and threads.
        seed: Its `random_state`, where it has one.
        threads: Its `n_jobs`, where it has them.
        standardise: Standardise the features.

    Raises:
        UserError: There is no such regressor, or it does not have one of the parameters.
    """
    return Regressor(estimator.rpartition(".")[2], make(estimator, parameters, seed, threads, "regressor"), standardise)


def make(estimator: str, parameters: Mapping[str, Any], seed: int, threads: int, what: str) -> Any:
    """An unfitted estimator of scikit-learn's interface; `what` is "regressor" or "classifier".

    Raises:
        UserError: There is no such estimator, or it does not have one of the parameters.
    """
    try:
        check_estimator(estimator)
    except ValueError as problem:
        raise UserError(f"model.estimator: {problem}") from None
    module, _, name = estimator.rpartition(".")
    found = getattr(import_module(module), name, None)
    if not isinstance(found, type) or not hasattr(found, "get_params"):
        raise UserError(f"model.estimator: {estimator} is no {what}")
    accepted = signature(found).parameters
    if not any(parameter.kind is Parameter.VAR_KEYWORD for parameter in accepted.values()):
        for parameter in parameters:
            if parameter not in accepted:
                raise UserError(unknown(f"model.parameters: parameter of {name}", parameter, accepted))
    given = {"random_state": seed, "n_jobs": threads}
    try:
        inner = found(**parameters)
        inner.set_params(**{key: value for key, value in given.items() if key in inner.get_params(deep=False)})
    except (ValueError, TypeError) as error:
        raise UserError(f"model.parameters: {name} cannot be made: {_short(error)}") from None
    if not {"regressor": is_regressor, "classifier": is_classifier}[what](inner):
        raise UserError(f"model.estimator: {estimator} is no {what}")
    return inner


def _short(error: Exception) -> str:
    return plain(" ".join(str(error).split()))[:500]
