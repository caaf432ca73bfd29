"""The constant prediction as a regressor."""

from sklearn.dummy import DummyRegressor

from sitenet.models.dummy.settings import DummySettings


def build(settings: DummySettings, seed: int, threads: int) -> DummyRegressor:
    """A regressor that predicts one statistic of the targets, whatever the features, seed and threads."""
    return DummyRegressor(strategy=settings.statistic)
