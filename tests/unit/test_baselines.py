from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LinearRegression

from sitenet.config.trial import Trial
from sitenet.data.crystal import Crystal
from sitenet.data.table import CrystalTable, bundled_path, crystal_columns
from sitenet.features.composition import write_composition_features
from sitenet.models.dummy.settings import DummySettings
from sitenet.models.random_forest.settings import RandomForestSettings
from sitenet.training.baseline import BaselineRun, fit_baseline

BUNDLED = bundled_path("mp_dielectric_gap")
FOREST = RandomForestSettings(n_trees=60)
NON_NEGATIVE = True  # band gaps


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    path = tmp_path_factory.mktemp("features") / "composition.parquet"
    write_composition_features(BUNDLED, path)
    return pd.read_parquet(path)


@pytest.fixture(scope="module")
def fold() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training part (a tenth for validation) and test part of a random split of the bundled crystals."""
    table = pq.read_table(BUNDLED, columns=["id", "band_gap"]).to_pandas()
    table = table.rename(columns={"band_gap": "target"}).sample(frac=1, random_state=0, ignore_index=True)
    training = table[:845].assign(part="train")
    training.loc[:83, "part"] = "validation"
    return training, table[845:]


def run(
    settings: DummySettings | RandomForestSettings, fold: tuple, features: pd.DataFrame, **options: int
) -> BaselineRun:
    training, test = fold
    chosen = {"seed": 0, "threads": 1} | options
    trial, ids = Trial({"model": settings}), test["id"].tolist()
    return fit_baseline(trial, training, ids, features, NON_NEGATIVE, chosen["seed"], chosen["threads"])


def test_features_are_one_finite_row_a_crystal(features: pd.DataFrame) -> None:
    assert features["id"].tolist() == CrystalTable.open(BUNDLED).ids
    assert features.shape == (1056, 133)
    assert np.isfinite(features.drop(columns="id").to_numpy()).all()


def test_features_are_statistics_over_the_atoms_of_the_composition(features: pd.DataFrame) -> None:
    rows = features.set_index("id")
    numbers = {crystal.id: crystal.atomic_numbers for crystal in CrystalTable.open(BUNDLED).crystals(0, 50)}
    for id_, values in numbers.items():
        assert rows.loc[id_, "MagpieData mean Number"] == pytest.approx(values.mean())
        assert rows.loc[id_, "MagpieData maximum Number"] == values.max()


def test_a_larger_cell_of_the_same_crystal_has_the_same_features(tmp_path: Path) -> None:
    small = Crystal("small", np.eye(3), np.array([11, 17]), np.zeros((2, 3)))
    large = Crystal("large", np.eye(3), np.array([17, 11, 17, 11]), np.zeros((4, 3)))
    pq.write_table(pa.table(crystal_columns([small, large])), tmp_path / "structures.parquet")
    write_composition_features(tmp_path / "structures.parquet", tmp_path / "features.parquet")
    rows = pd.read_parquet(tmp_path / "features.parquet").drop(columns="id").to_numpy()
    assert np.array_equal(rows[0], rows[1])


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_dummy_predicts_its_statistic_of_the_whole_training_part(
    statistic: str, fold: tuple, features: pd.DataFrame
) -> None:
    training, test = fold
    result = run(DummySettings.model_validate({"statistic": statistic}), fold, features)
    assert result.predictions["prediction"].to_numpy() == pytest.approx(getattr(training["target"], statistic)())
    assert result.predictions["id"].tolist() == test["id"].tolist()
    parts = training.groupby("part")["target"]
    constant = getattr(parts.get_group("train"), statistic)()
    assert result.validation_error == pytest.approx((parts.get_group("validation") - constant).abs().mean())


def test_forest_beats_the_dummy_on_real_crystals(fold: tuple, features: pd.DataFrame) -> None:
    _, test = fold
    mae = {}
    for settings in (FOREST, DummySettings(statistic="median")):
        predicted = run(settings, fold, features).predictions.set_index("id")["prediction"]
        mae[settings.kind] = (predicted - test.set_index("id")["target"]).abs().mean()
    assert mae["random_forest"] < 0.6 * mae["dummy"]


def test_forest_depends_on_the_seed_and_not_on_threads(fold: tuple, features: pd.DataFrame) -> None:
    first = run(FOREST, fold, features).predictions
    assert first.equals(run(FOREST, fold, features, threads=2).predictions)
    assert not first.equals(run(FOREST, fold, features, seed=1).predictions)


def test_unlabelled_crystals_are_not_trained_on(fold: tuple, features: pd.DataFrame) -> None:
    training, test = fold
    blank = training.copy()
    blank.loc[[0, 100, 200], "target"] = np.nan
    result = run(DummySettings(), (blank, test), features)
    assert result.predictions["prediction"][0] == pytest.approx(blank["target"].mean())
    assert (result.n_train, result.n_validation) == (842, 83)


@pytest.mark.parametrize("non_negative", [True, False])
def test_a_target_that_cannot_be_negative_is_not_predicted_below_zero(
    fold: tuple, features: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, non_negative: bool
) -> None:
    monkeypatch.setattr(Trial, "build_baseline", lambda *_: LinearRegression())
    training, test = fold
    small = training.groupby("part").head(150)  # fewer crystals than features leave room for wild extrapolation
    ids = test["id"].tolist()
    result = fit_baseline(Trial({"model": FOREST}), small, ids, features, non_negative, seed=0, threads=1)
    assert (result.predictions["prediction"].min() < 0) != non_negative
