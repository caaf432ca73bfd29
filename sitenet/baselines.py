"""Baselines without a network: a constant, and a random forest on composition features."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from matminer.featurizers.composition import ElementProperty
from numpy.typing import NDArray
from pymatgen.core import Composition
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor

from sitenet.config.baselines import DummySettings, RandomForestSettings
from sitenet.data.formula import reduced_formula
from sitenet.data.table import CrystalTable
from sitenet.evaluation.metrics import mean_absolute_error

logger = logging.getLogger(__name__)
_LOG_EVERY = 2000


@dataclass(frozen=True)
class BaselineRun:
    """What a baseline reached on one fold.

    Attributes:
        predictions: (id, prediction) of the test crystals.
        validation_mae: MAE of the fit on the part "train" alone, in the unit of the target.
        n_train: Labelled crystals behind `predictions`, those of the part "validation" included.
        n_validation: Labelled crystals of the part "validation".
    """

    predictions: pd.DataFrame
    validation_mae: float
    n_train: int
    n_validation: int


def write_composition_features(structures: Path | str, path: Path | str) -> None:
    """Writes the Magpie features of every crystal of a table (id, then 132 columns) as Parquet.

    Statistics over elemental properties (Ward et al., npj Comput. Mater. 2, 16028 (2016)) by matminer; a
    property that is unknown for an element takes the mean over the elements.
    """
    table = CrystalTable.open(structures)
    featurizer = ElementProperty.from_preset("magpie", impute_nan=True)
    of_formula = cache(lambda formula: featurizer.featurize(Composition(formula)))
    rows = []
    for done, crystal in enumerate(table.crystals(), start=1):
        rows.append(np.array(of_formula(reduced_formula(crystal.atomic_numbers)), dtype=np.float32))
        if done % _LOG_EVERY == 0 or done == len(table):
            logger.info("composition features: %d of %d crystals", done, len(table))
    frame = pd.DataFrame(rows, columns=featurizer.feature_labels())
    frame.insert(0, "id", table.ids)
    frame.to_parquet(path, index=False)


def run_baseline(
    settings: DummySettings | RandomForestSettings,
    training: pd.DataFrame,
    test_ids: Sequence[str],
    features: pd.DataFrame,
    seed: int,
    threads: int,
) -> BaselineRun:
    """Validates a baseline, fits it again on the whole training part and predicts the test crystals.

    A baseline stops nothing early and so needs no held-out crystals: the second fit makes it as strong as the
    fold allows. Crystals without a target are left out.

    Args:
        settings: Hyperparameters.
        training: (id, target, part) with part "train" or "validation".
        test_ids: Ids of the test crystals.
        features: Composition features as `write_composition_features` stored them.
        seed: Seed of the forest.
        threads: Threads that grow trees; the numbers do not depend on it.
    """
    features = features.set_index("id")
    labelled = training[training["target"].notna()]
    fitting = labelled[labelled["part"] == "train"]
    validation = labelled[labelled["part"] == "validation"]
    validated = _fit_predict(_regressor(settings, seed, threads), fitting, validation["id"], features)
    validation_mae = mean_absolute_error(validation["target"].to_numpy(dtype=float), validated)
    logger.info("%s: validation MAE %.3f, now fits %d crystals", settings.kind, validation_mae, len(labelled))
    predicted = _fit_predict(_regressor(settings, seed, threads), labelled, test_ids, features)
    return BaselineRun(
        predictions=pd.DataFrame({"id": test_ids, "prediction": predicted}),
        validation_mae=validation_mae,
        n_train=len(labelled),
        n_validation=len(validation),
    )


def _fit_predict(
    regressor: DummyRegressor | RandomForestRegressor,
    training: pd.DataFrame,
    ids: Sequence[str] | pd.Series,
    features: pd.DataFrame,
) -> NDArray[np.float64]:
    """(C,) predictions for `ids` of a regressor fitted to `training`; no ids, no predictions."""
    if not len(ids):
        return np.empty(0)
    regressor.fit(features.loc[training["id"]].to_numpy(), training["target"].to_numpy(dtype=float))
    if isinstance(regressor, RandomForestRegressor):
        regressor.n_jobs = 1  # threads would add the trees' votes in changing order, and so round differently
    return regressor.predict(features.loc[list(ids)].to_numpy()).astype(np.float64)


def _regressor(
    settings: DummySettings | RandomForestSettings, seed: int, threads: int
) -> DummyRegressor | RandomForestRegressor:
    if isinstance(settings, DummySettings):
        return DummyRegressor(strategy=settings.statistic)
    return RandomForestRegressor(
        n_estimators=settings.n_trees,
        max_features=settings.max_features,
        min_samples_leaf=settings.min_leaf,
        random_state=seed,
        n_jobs=threads,
    )
