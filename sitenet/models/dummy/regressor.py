"""The constant prediction as a regressor."""

from sitenet.models.dummy.settings import DummySettings
from sitenet.models.sklearn.regressor import Regressor, build_regressor


def build(settings: DummySettings, seed: int, threads: int) -> Regressor:
    """A regressor that predicts one statistic of the targets, whatever the features, seed and threads."""
    return build_regressor("sklearn.dummy.DummyRegressor", {"strategy": settings.statistic}, seed, threads)
