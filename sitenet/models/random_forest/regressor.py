"""The random forest as a regressor."""

from sitenet.models.random_forest.settings import RandomForestSettings
from sitenet.models.sklearn.regressor import Regressor, build_regressor


def build(settings: RandomForestSettings, seed: int, threads: int) -> Regressor:
    """An unfitted forest that grows its trees in `threads` threads."""
    parameters = {
        "n_estimators": settings.n_trees,
        "max_features": settings.max_features,
        "min_samples_leaf": settings.min_leaf,
    }
    return build_regressor("sklearn.ensemble.RandomForestRegressor", parameters, seed, threads)
