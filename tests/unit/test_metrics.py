import gzip
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn.metrics import (
    max_error,
    mean_absolute_error,
    median_absolute_error,
    r2_score,
    root_mean_squared_error,
)

from sitenet.errors import UserError
from sitenet.evaluation.statistics.metrics import compute_metrics, score_predictions
from sitenet.evaluation.statistics.spread import over_folds, over_seeds
from tests.shared_data import SHARED, needs_matbench

GAPS = arrays(np.float64, st.shared(st.integers(1, 30), key="n"), elements=st.floats(0, 12))


@settings(deadline=None)  # a slow machine is no error
@given(GAPS, GAPS)
def test_errors_are_those_of_scikit_learn(target: np.ndarray, prediction: np.ndarray) -> None:
    metrics = compute_metrics(target, prediction)
    assert metrics.mae == pytest.approx(mean_absolute_error(target, prediction))
    assert metrics.values["rmse"] == pytest.approx(root_mean_squared_error(target, prediction))
    assert metrics.values["max_error"] == pytest.approx(max_error(target, prediction))
    assert metrics.values["median_error"] == pytest.approx(median_absolute_error(target, prediction))
    deviation = mean_absolute_error(target, np.full(len(target), target.mean()))
    assert metrics.values["mad"] == pytest.approx(deviation)


def test_relative_errors_are_those_of_scikit_learn_and_are_unknown_where_targets_do_not_vary() -> None:
    rng = np.random.default_rng(0)
    target = rng.exponential(size=200)
    prediction = target + rng.normal(0, 0.3, size=200)
    values = compute_metrics(target, prediction).values
    assert values["r2"] == pytest.approx(r2_score(target, prediction))
    assert values["mae_to_mad"] == pytest.approx(values["mae"] / values["mad"])
    mean = compute_metrics(target, np.full(200, target.mean())).values
    assert (mean["mae_to_mad"], mean["r2"]) == pytest.approx((1.0, 0.0))
    assert np.isnan(compute_metrics(np.array([0.0, 5e-324, 1e-200]), np.ones(3)).values["r2"])
    constant = compute_metrics(np.full(3, 1.1), np.array([1.0, 1.2, 1.4])).values
    assert np.isnan([constant["mae_to_mad"], constant["r2"]]).all()
    assert (constant["mae"], constant["median_error"]) == pytest.approx((1.5 / 9, 0.1), abs=0.01)


def test_spread_over_folds_and_over_seeds_are_apart() -> None:
    """Scores of three seeds on two folds: seeds vary by 0.1, folds by much more."""
    scores = {0: [1.0, 1.1, 1.2], 1: [5.0, 5.1, 5.2], 2: [7.0]}
    assert over_seeds(scores) == pytest.approx(0.1)
    assert over_folds([1.1, 5.1, 7.0]) == pytest.approx(stats.tstd([1.1, 5.1, 7.0]))
    assert np.isnan([over_seeds({0: [1.0], 1: [2.0]}), over_seeds({}), over_folds([1.0])]).all()


def test_unlabelled_crystals_are_counted_and_not_scored() -> None:
    targets = pd.DataFrame({"id": ["mp-1", "mp-2", "mp-3"], "target": [1.0, None, 3.0]})
    predictions = pd.DataFrame({"id": ["mp-3", "mp-2", "mp-1"], "prediction": [2.0, 99.0, 1.5]})
    metrics, joined = score_predictions(predictions, targets)
    assert (metrics.mae, metrics.values["max_error"]) == (0.75, 1.0)
    assert (metrics.n_scored, metrics.n_unlabelled) == (2, 1)
    assert joined["id"].tolist() == ["mp-1", "mp-2", "mp-3"]
    assert joined["prediction"].tolist() == [1.5, 99.0, 2.0]


def test_fold_without_any_label_has_no_errors() -> None:
    metrics = compute_metrics(np.full(3, np.nan), np.ones(3))
    assert np.isnan(list(metrics.values.values())).all()
    assert (metrics.n_scored, metrics.n_unlabelled) == (0, 3)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["mp-1", "mp-2"], "ids without a prediction: 1 (mp-3)"),
        (["mp-1", "mp-2", "mp-3", "mp-9"], "predicted ids that are not in the test set: 1 (mp-9)"),
        (["mp-1", "mp-1", "mp-2", "mp-3"], "ids predicted more than once: 1 (mp-1)"),
        (["mp-7", "mp-8"], "ids without a prediction: 3 (mp-1, mp-2, mp-3); predicted ids that are not"),
    ],
)
def test_ids_that_do_not_match_are_named_and_counted(ids: list[str], message: str) -> None:
    targets = pd.DataFrame({"id": ["mp-1", "mp-2", "mp-3"], "target": 1.0})
    with pytest.raises(UserError) as error:
        score_predictions(pd.DataFrame({"id": ids, "prediction": 1.0}), targets)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_repeated_target_ids_are_rejected() -> None:
    frame = pd.DataFrame({"id": ["mp-1", "mp-1"], "target": 1.0, "prediction": 1.0})
    with pytest.raises(UserError, match="targets have repeated ids: 1"):
        score_predictions(frame, frame)


def test_long_lists_of_ids_are_cut() -> None:
    targets = pd.DataFrame({"id": [f"mp-{i}" for i in range(40)], "target": 1.0})
    with pytest.raises(UserError, match=r"ids without a prediction: 40 \(mp-0, .*mp-4, \.\.\.\)"):
        score_predictions(pd.DataFrame({"id": [], "prediction": []}), targets)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, None])
def test_predictions_that_are_no_numbers_are_named(bad: float | None) -> None:
    targets = pd.DataFrame({"id": ["mp-1", "mp-2"], "target": [None, 1.0]})
    with pytest.raises(UserError, match=r"NaN or infinite: 1 \(mp-1\)"):
        score_predictions(pd.DataFrame({"id": ["mp-1", "mp-2"], "prediction": [bad, 1.0]}), targets)


@needs_matbench
@pytest.mark.parametrize("algorithm", ["alignn", "cgcnnv2019", "coNGN", "dummy", "rf"])
def test_official_submissions_have_their_published_errors(algorithm: str) -> None:
    with gzip.open(SHARED / f"data/matbench_results/matbench_v0.1_{algorithm}/results.json.gz") as file:
        recorded = json.load(file)["tasks"]["matbench_mp_gap"]["results"]
    crystals = pd.read_parquet(SHARED / "data/matbench_mp_gap.parquet", columns=["mbid", "gap_pbe", "fold"])
    crystals = crystals.rename(columns={"mbid": "id", "gap_pbe": "target"})
    published = pd.read_csv(SHARED / "data/published_matbench_scores.csv")
    published = published[(published["task"] == "matbench_mp_gap") & (published["algorithm"] == algorithm)]
    for fold in (1, 2, 3, 4):
        data = recorded[f"fold_{fold}"]["data"]
        predictions = pd.DataFrame({"id": data.keys(), "prediction": data.values()})
        metrics, _ = score_predictions(predictions, crystals[crystals["fold"] == fold])
        expected = published.loc[published["fold"] == fold, ["mae", "rmse", "max_error"]].to_numpy()
        assert [
            [round(e, 4) for e in (metrics.mae, metrics.values["rmse"], metrics.values["max_error"])]
        ] == expected.tolist()
