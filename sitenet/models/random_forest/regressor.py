"""The random forest as a regressor."""

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from sitenet.models.random_forest.settings import RandomForestSettings


class Forest(RandomForestRegressor):
    """A forest whose predictions do not depend on the number of threads."""

    def predict(self, X: NDArray[np.floating]) -> NDArray[np.float64]:
        """(C,) means over the trees of (C, F) features."""
        self.n_jobs = 1  # threads would add the trees' votes in changing order, and so round differently
        return super().predict(X)


def build(settings: RandomForestSettings, seed: int, threads: int) -> Forest:
    """An unfitted forest that grows its trees in `threads` threads."""
    return Forest(
        n_estimators=settings.n_trees,
        max_features=settings.max_features,
        min_samples_leaf=settings.min_leaf,
        random_state=seed,
        n_jobs=threads,
    )
