import gzip
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import max_error, mean_absolute_error, root_mean_squared_error

from sitenet.errors import UserError
from sitenet.evaluation.statistics.metrics import compute_metrics, score_predictions
from tests.shared_data import SHARED, needs_matbench

GAPS = arrays(np.float64, st.shared(st.integers(1, 30), key="n"), elements=st.floats(0, 12))


@given(GAPS, GAPS)
def test_errors_are_those_of_scikit_learn(target: np.ndarray, prediction: np.ndarray) -> None:
    metrics = compute_metrics(target, prediction)
    assert metrics.mae == pytest.approx(mean_absolute_error(target, prediction))
    assert metrics.values["rmse"] == pytest.approx(root_mean_squared_error(target, prediction))
    assert metrics.values["max_error"] == pytest.approx(max_error(target, prediction))


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
