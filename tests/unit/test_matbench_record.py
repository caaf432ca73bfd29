"""Official scoring: submissions that `matbench` loads, and published scores that we reproduce."""

import csv
import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sitenet.data.manifest import FoldCounts, Splits
from sitenet.data.matbench_task import official_folds
from sitenet.errors import UserError
from sitenet.evaluation.matbench_submission import INFO_KEYS, folders_of, submit, submitted, write_submission
from sitenet.evaluation.runs import LeaderboardRow, Run
from sitenet.evaluation.statistics.metrics import compute_metrics
from tests.shared_data import SHARED, needs_matbench
from tests.unit.benchmark_runs import SITENET, run_result

TASK = "matbench_jdft2d"
INFO = dict.fromkeys(INFO_KEYS, "text")

SUBMISSIONS = ("dummy", "rf", "cgcnnv2019", "alignn", "coNGN")


@cache
def frames() -> dict[int, pd.DataFrame]:
    """Predictions of every test crystal, in another order than the official one."""
    random = np.random.default_rng(0)
    return {
        number: pd.DataFrame(
            {"id": test[::-1], "target": random.random(len(test)), "prediction": random.random(len(test))}
        )
        for number, (_, test) in enumerate(official_folds(TASK))
    }


def parameters() -> dict[int, dict[str, float]]:
    return {number: {"learning_rate": 0.001} for number in frames()}


def test_matbench_loads_validates_and_scores_a_submission_as_we_do(tmp_path: Path) -> None:
    from matbench.bench import MatbenchBenchmark

    returned = write_submission(TASK, frames(), parameters(), INFO, tmp_path)
    plain = tmp_path / "results.json"  # MatbenchBenchmark.from_file reads what is unpacked
    plain.write_bytes(gzip.decompress((tmp_path / "results.json.gz").read_bytes()))
    benchmark = MatbenchBenchmark.from_file(plain)
    assert benchmark.is_recorded
    assert benchmark.is_valid
    for number, frame in frames().items():
        results = benchmark.tasks_map[TASK].results[f"fold_{number}"]
        ours = compute_metrics(frame["target"].to_numpy(), frame["prediction"].to_numpy())
        for scores in (results.scores, returned[number]):
            assert [scores[name] for name in ("mae", "rmse", "max_error")] == pytest.approx(
                [ours.values[name] for name in ("mae", "rmse", "max_error")], rel=1e-12
            )
        assert dict(results.data) == dict(zip(frame["id"], frame["prediction"], strict=True))
        assert dict(results.parameters) == {"learning_rate": 0.001}
    assert json.loads((tmp_path / "info.json").read_text()) == INFO


def row_of(root: Path) -> LeaderboardRow:
    """A row of the leaderboard with two seeds, whose runs lie on disk as the workflow leaves them."""
    runs: dict[int, list[Run]] = {}
    for number, frame in frames().items():
        for seed, shift in ((0, -0.2), (1, 0.4)):
            folder = root / f"fold{number}" / f"seed{seed}"
            folder.mkdir(parents=True)
            shifted = frame.assign(prediction=frame["prediction"] + shift)
            shifted.to_parquet(folder / "test_predictions.parquet", index=False)
            runs.setdefault(number, []).append(Run(run_result(SITENET[0], number, seed), folder))
    return LeaderboardRow("sitenet", "sitenet", 4, dict.fromkeys(runs, SITENET[0]), runs, [])


def test_a_row_of_the_leaderboard_is_submitted_with_the_mean_over_seeds(tmp_path: Path) -> None:
    counts = FoldCounts(train=90, validation=10, test=127, test_unlabelled=0, full_train=509, full_test=127)
    splits = Splits(kind="official", seed=0, folds=(counts,) * 5, sha256="0")
    scores = submit(row_of(tmp_path), splits, TASK, tmp_path / "submission")
    content = json.loads(gzip.decompress((tmp_path / "submission" / "results.json.gz").read_bytes()))
    results = content["tasks"][TASK]["results"]
    for number, frame in frames().items():
        expected = dict(zip(frame["id"], frame["prediction"] + 0.1, strict=True))
        assert results[f"fold_{number}"]["data"] == pytest.approx(expected)
        assert results[f"fold_{number}"]["parameters"]["model.kind"] == "sitenet"
        assert results[f"fold_{number}"]["scores"]["mae"] == scores[number]["mae"]
    info = json.loads((tmp_path / "submission" / "info.json").read_text())
    assert (tuple(info), info["algorithm"]) == (INFO_KEYS, "sitenet")
    assert "Fold 0: 100 of 509 training crystals" in info["notes"]


def test_own_models_are_submitted_once(tmp_path: Path) -> None:
    network, forest, others = (
        LeaderboardRow(kind, kind, 1, {}, {}, []) for kind in ("sitenet", "random_forest", "published")
    )
    ensemble = replace(network, model="sitenet, ensemble of 2 seeds", is_ensemble=True)
    assert submitted([others, network, forest]) == [network, forest]
    assert submitted([ensemble, others, network, forest]) == [ensemble, forest]


def test_models_have_folders_of_their_own() -> None:
    models = ["sklearn (RF)", "sklearn (SVR)", "sitenet_radial, ensemble of 3 seeds", "A+", "a-"]
    names = ["sklearn_rf", "sklearn_svr", "sitenet_radial_ensemble_of_3_seeds", "a", "a_2"]
    assert folders_of(models) == [f"matbench_v0.1_{name}" for name in names]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folds: folds.pop(3), "needs all official folds; missing: 3"),
        (
            lambda folds: folds.update({1: folds[1][1:]}),
            "fold 1 .* of 127 test crystals 1 have no prediction, 0",
        ),
        (
            lambda folds: folds.update({1: folds[2]}),
            "fold 1 .* 127 have no prediction, 127 predictions are for other crystals",
        ),
        (
            lambda folds: folds.update({0: folds[0].assign(target=np.nan)}),
            "fold 0 .* and 128 crystals have no target",
        ),
    ],
)
def test_incomplete_submissions_are_refused_with_counts(
    tmp_path: Path, change: Callable[[dict], None], message: str
) -> None:
    folds = dict(frames())
    change(folds)
    with pytest.raises(UserError, match=message):
        write_submission(TASK, folds, parameters(), INFO, tmp_path)
    assert not list(tmp_path.iterdir())


def test_info_has_the_keys_that_the_leaderboard_asks_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="authors, algorithm"):
        write_submission(TASK, frames(), parameters(), {"author": "me"}, tmp_path)


@cache
def published() -> dict[tuple[str, int], list[float]]:
    """MAE, RMSE and largest error of each algorithm and fold."""
    with (SHARED / "data" / "published_matbench_scores.csv").open() as file:
        return {
            (row["algorithm"], int(row["fold"])): [float(row[name]) for name in ("mae", "rmse", "max_error")]
            for row in csv.DictReader(file)
            if row["task"] == "matbench_mp_gap"
        }


@cache
def official_targets() -> dict[int, pd.Series]:
    columns = ["mbid", "gap_pbe", "fold"]
    table = pd.read_parquet(SHARED / "data" / "matbench_mp_gap.parquet", columns=columns).set_index("mbid")
    return {fold: table.loc[table["fold"] == fold, "gap_pbe"] for fold in range(1, 5)}


@needs_matbench
@pytest.mark.parametrize("submission", SUBMISSIONS)
def test_our_scores_of_official_submissions_are_the_published_ones(submission: str) -> None:
    path = SHARED / "data" / "matbench_results" / f"matbench_v0.1_{submission}" / "results.json.gz"
    results = json.loads(gzip.decompress(path.read_bytes()))["tasks"]["matbench_mp_gap"]["results"]
    for fold, targets in official_targets().items():
        predictions = pd.Series(results[f"fold_{fold}"]["data"]).loc[targets.index]
        ours = compute_metrics(targets.to_numpy(), predictions.to_numpy(float))
        assert ours.n_scored == len(targets) > 21_000
        scores = [round(score, 4) for score in (ours.mae, ours.values["rmse"], ours.values["max_error"])]
        assert scores == published()[submission, fold]
