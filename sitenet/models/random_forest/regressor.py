"""The random forest as a regressor, and as a classifier."""

from typing import Any

from sitenet.models.random_forest.settings import RandomForestSettings
from sitenet.models.sklearn.classifier import Classifier, build_classifier
from sitenet.models.sklearn.regressor import Regressor, build_regressor


def build(settings: RandomForestSettings, seed: int, threads: int) -> Regressor:
    """An unfitted forest that grows its trees in `threads` threads."""
    return build_regressor("sklearn.ensemble.RandomForestRegressor", _parameters(settings), seed, threads)


def build_classifying(settings: RandomForestSettings, seed: int, threads: int) -> Classifier:
    """The same for classes."""
    return build_classifier("sklearn.ensemble.RandomForestClassifier", _parameters(settings), seed, threads)


def _parameters(settings: RandomForestSettings) -> dict[str, Any]:
    return {
        "n_estimators": settings.n_trees,
        "max_features": settings.max_features,
        "min_samples_leaf": settings.min_leaf,
    }
