"""Any regressor of scikit-learn: planned without importing it, refused in one line, fitted as it would be by hand."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from sitenet.config.benchmark import Benchmark
from sitenet.config.grid import expand_grid
from sitenet.config.trial import Trial, trial_names
from sitenet.data.crystal import Crystal
from sitenet.data.table import CrystalTable, bundled_path, copy_rows
from sitenet.errors import UserError
from sitenet.evaluation.runs import PlannedRuns, leaderboard_rows
from sitenet.features.structure import nearest_distances, structure_features, write_structure_features
from sitenet.models.sklearn.regressor import build_regressor
from sitenet.training.baseline import fit_baseline
from tests.unit.test_config import config

BUNDLED = bundled_path("mp_dielectric_gap")


def trials(**model: Any) -> dict[str, Trial]:
    return expand_grid([{"model": {"kind": "sklearn"} | model}])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"estimator": "os.path.join"}, "a regressor is imported from sklearn, xgboost, lightgbm, nothing else"),
        ({"estimator": "sklearn.ensemble.RandomForestRegresor"}, "did you mean 'RandomForestRegressor'?"),
        ({"estimator": "sklearn.kernel_ridge.Kernel"}, "did you mean 'KernelRidge'?"),
        ({"estimator": "sklearn.forests.Forest"}, "sklearn has no module sklearn.forests"),
        ({"estimator": "sklearn"}, "string should match pattern"),
        ({"estimator": "sklearn..svm.SVR"}, "string should match pattern"),
        ({"parameters": {"random_state": 1}}, "random_state is not set here: the key 'seeds' decides"),
        ({"parameters": {"n_jobs": 4}}, "n_jobs is not set here: the threads of the job decides"),
        ({"parameters": {"alpha": float("inf")}}, "alpha needs a finite number"),
        ({"parameters": {"alpha": []}}, "'grid.2.model.parameters.alpha' is an empty list"),
        ({"parameters": 5}, "'grid.2.model.parameters' has the value 5"),
        ({"parameters": {"alpha": {"uniform": [0, 1]}}}, "'grid.2' has distributions, but only networks are searched"),
        ({"parameter": {}}, "did you mean 'grid.2.model.parameters'?"),
        ({"features": "magpie"}, "input should be 'composition', 'structure', 'both', 'chgnet', 'sevennet' or 'all'"),
    ],
)
def test_a_mistake_is_one_line_when_the_workflow_is_planned(model: dict, message: str) -> None:
    with pytest.raises(UserError) as refused:
        Benchmark(config("grid", 2, value={"model": {"kind": "sklearn"} | model}))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sitenet.models.sklearn.settings.find_spec", lambda name: None)
    with pytest.raises(UserError, match="xgboost is not installed: pip install xgboost"):
        trials(estimator="xgboost.XGBRegressor")


def test_planning_does_not_import_scikit_learn() -> None:
    code = (
        "import sys; from sitenet.config.grid import expand_grid; "
        "expand_grid([{'model': {'kind': 'sklearn', 'estimator': 'sklearn.svm.SVR'}}]); "
        "assert not {'sklearn', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("estimator", "parameters", "message"),
    [
        ("sklearn.svm.SVR", {"c": 1.0}, "parameter of SVR 'c' is unknown .valid: kernel, degree"),
        ("sklearn.svm.SVC", {}, "sklearn.svm.SVC is no regressor"),
        ("sklearn.preprocessing.StandardScaler", {}, "sklearn.preprocessing.StandardScaler is no regressor"),
        ("sklearn.ensemble.StackingRegressor", {}, "StackingRegressor cannot be made: .*estimators"),
        ("sklearn.metrics.mean_absolute_error", {}, "sklearn.metrics.mean_absolute_error is no regressor"),
    ],
)
def test_what_only_the_package_knows_is_one_line_of_the_job(estimator: str, parameters: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_regressor(estimator, parameters, 0, 1)


def test_features_that_a_regressor_cannot_predict_from_are_one_line() -> None:
    """A crystal without descriptors is a row of NaN, which may be in a test part alone."""
    rows = np.arange(8.0).reshape(4, 2)
    fitted = build_regressor("sklearn.linear_model.Ridge", {}, 0, 1, standardise=True).fit(rows, rows[:, 0])
    with pytest.raises(UserError, match=r"^Ridge cannot predict: Input X contains NaN"):
        fitted.predict(np.full((1, 2), np.nan))


def test_a_wrong_value_of_a_parameter_is_one_line() -> None:
    regressor = build_regressor("sklearn.svm.SVR", {"C": "large"}, 0, 1)
    with pytest.raises(UserError, match=r"SVR cannot be fitted: .*'C'") as refused:
        regressor.fit(np.zeros((3, 2)), np.arange(3.0))
    assert "\n" not in str(refused.value)


def test_parameters_are_scanned_and_named() -> None:
    found = trials(parameters={"max_iter": [50, 100], "loss": "absolute_error"}, features=["composition", "both"])
    assert [trial.settings["model"]["parameters"]["max_iter"] for trial in found.values()] == [50, 50, 100, 100]
    assert len(found) == 4
    assert set(trial_names(found).values()) == {
        f"sklearn max_iter={n} features={features}" for n in (50, 100) for features in ("composition", "both")
    }
    other = trials(estimator=["sklearn.svm.SVR", "sklearn.svm.NuSVR"])
    other |= trials(estimator="sklearn.svm.SVR", parameters={"C": 10.0}, name="vectors")
    assert list(trial_names(other).values()) == ["sklearn estimator=SVR", "sklearn estimator=NuSVR", "sklearn vectors"]
    (lists,) = trials(
        estimator="sklearn.neural_network.MLPRegressor", parameters={"hidden_layer_sizes": [[8, 8]]}
    ).values()
    assert lists.settings["model"]["parameters"] == {"hidden_layer_sizes": [8, 8]}
    assert Trial.from_settings(lists.settings).id == lists.id


def test_rows_are_named_by_the_regressor_or_as_the_user_likes() -> None:
    grid = [
        {"model": {"kind": "sklearn", "features": ["composition", "both"], "parameters": {"max_iter": 20}}},
        {"model": {"kind": "sklearn", "estimator": "sklearn.svm.SVR", "name": "SVR", "standardise": True}},
        {"model": {"kind": "sklearn", "estimator": "sklearn.linear_model.Ridge", "name": "ridge",
                   "parameters": {"alpha": [1, 2]}, "features": "both"}},
    ]  # fmt: skip
    planned = PlannedRuns({id_: trial.settings for id_, trial in expand_grid(grid).items()}, [0], [0])
    assert [row.model for row in leaderboard_rows([], {}, planned)] == [
        "sklearn (HistGradientBoostingRegressor, composition)",
        "sklearn (HistGradientBoostingRegressor, both)",
        "sklearn (SVR)",
        "sklearn (ridge, alpha=1)",
        "sklearn (ridge, alpha=2)",
    ]


@pytest.fixture(scope="module")
def data() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Structure features of 120 crystals, their training part and their test part; the target is the density."""
    crystals = list(CrystalTable.open(BUNDLED).crystals(0, 120))
    features = pd.DataFrame([structure_features(crystal) for crystal in crystals])
    table = pd.DataFrame({"id": [crystal.id for crystal in crystals], "target": features["density"] ** 2})
    features.insert(0, "id", table["id"])
    training = table[:90].assign(part=["train"] * 75 + ["validation"] * 15)
    return features, training, table[90:]


@pytest.mark.parametrize(
    ("model", "by_hand"),
    [
        (
            {"parameters": {"max_iter": 30, "min_samples_leaf": 5}},
            HistGradientBoostingRegressor(max_iter=30, min_samples_leaf=5, random_state=3),
        ),
        (
            {"estimator": "sklearn.svm.SVR", "parameters": {"C": 10.0}, "standardise": True},
            make_pipeline(StandardScaler(), SVR(C=10.0)),
        ),
        (
            {"estimator": "sklearn.ensemble.RandomForestRegressor", "parameters": {"n_estimators": 20}},
            RandomForestRegressor(n_estimators=20, random_state=3),
        ),
    ],
    ids=["boosting", "scaled", "forest"],
)
def test_a_regressor_is_fitted_as_by_hand(data: tuple, model: dict, by_hand: Any) -> None:
    features, training, test = data
    (trial,) = trials(**model).values()
    run = fit_baseline(trial, training, test["id"].tolist(), features, False, seed=3, threads=2)
    values = features.set_index("id")
    by_hand.fit(values.loc[training["id"]].to_numpy(), training["target"].to_numpy())
    expected = by_hand.predict(values.loc[test["id"]].to_numpy())
    assert run.predictions["prediction"].to_numpy() == pytest.approx(expected, abs=1e-9)
    assert run.validation_error > 0


def test_structure_features_do_not_depend_on_the_cell() -> None:
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    cells = [salt, salt.get_primitive_structure(), salt * (2, 1, 3)]
    found = [
        structure_features(Crystal("x", s.lattice.matrix, np.array(s.atomic_numbers), s.frac_coords)) for s in cells
    ]
    for other in found[1:]:
        assert found[0] == pytest.approx(other, abs=1e-9)
    assert found[0]["space group"] == 225
    assert found[0]["primitive sites"] == 2
    assert found[0]["mean nearest distance"] == pytest.approx(2.82)
    assert found[0]["volume per atom"] == pytest.approx(5.64**3 / 8)
    # 6 neighbours at a / 2, then 6 of the 12 at a / sqrt(2)
    assert found[0]["max distance to 12 neighbours"] == pytest.approx((2.82 + 5.64 / 2**0.5) / 2)


def test_distances_are_those_of_a_plain_search() -> None:
    for crystal in CrystalTable.open(BUNDLED).crystals(0, 10):
        structure = Structure(crystal.lattice, crystal.atomic_numbers.tolist(), crystal.frac_coords)
        for site, row in zip(structure, nearest_distances(structure, 12), strict=True):
            plain = sorted(neighbour.nn_distance for neighbour in structure.get_neighbors(site, 12.0))[:12]
            assert row == pytest.approx(plain)


def test_a_far_apart_layer_has_features() -> None:
    layer = Structure(Lattice.hexagonal(2.46, 60.0), ["C", "C"], [[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.5]])
    crystal = Crystal("graphene", layer.lattice.matrix, np.array([6, 6]), layer.frac_coords)
    features = structure_features(crystal)
    assert features["mean nearest distance"] == pytest.approx(2.46 / 3**0.5)
    assert np.isfinite(list(features.values())).all()


def test_the_table_has_a_finite_row_for_each_crystal(tmp_path: Path) -> None:
    ids = CrystalTable.open(BUNDLED).ids[100:250]
    copy_rows(BUNDLED, tmp_path / "crystals.parquet", ids)
    write_structure_features(tmp_path / "crystals.parquet", tmp_path / "structure.parquet", processes=1)
    frame = pd.read_parquet(tmp_path / "structure.parquet")
    assert frame["id"].tolist() == ids
    assert frame.shape == (150, 13)
    assert np.isfinite(frame.drop(columns="id").to_numpy()).all()
