"""Tables and figures of searches, from trainings that end as a formula says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sitenet.config.benchmark import Benchmark
from sitenet.config.trial import Trial
from sitenet.evaluation.ablation import compare_trials
from sitenet.evaluation.figures.search_importance import search_importance_figure
from sitenet.evaluation.figures.search_progress import search_progress_figure
from sitenet.evaluation.page.training import setting_charts
from sitenet.evaluation.results import Results, chosen_trials
from sitenet.evaluation.runs import PlannedRuns, Run
from sitenet.evaluation.search import GRID, importances, search_progress
from sitenet.evaluation.standings import compute_standings
from sitenet.evaluation.statistics.metrics import compute_metrics
from sitenet.evaluation.tables.leaderboard import leaderboard_table
from sitenet.evaluation.tables.search import search_markdown
from sitenet.evaluation.tables.trials import trials_table
from sitenet.history import HistoryRow, write_history
from sitenet.search.stage import Stage, stopped_epochs, with_stages
from tests.unit.benchmark_runs import MANIFEST, SPLITS, select
from tests.unit.search_case import ENTRY, config, error_of, play, record

FIXED = {"model": {"kind": "sitenet_radial"}, "training": {"max_epochs": 27, "learning_rate": [1e-4, 5e-3]}}


def write(root: Path, trial: Trial, epochs: int, scored: bool, diverged: bool = False) -> Run:
    """A run whose validation MAE falls to what `error_of` says; 2 s an epoch."""
    folder = root / trial.id
    folder.mkdir()
    maes = [error_of(trial) + 0.9 / epoch for epoch in range(1, epochs + 1)]
    rows = [HistoryRow(i, 2.0 * i, 1e-3, 1.0, 1.0, mae, None, 10.0) for i, mae in enumerate(maes, start=1)]
    write_history(folder, rows[: 1 if diverged else epochs])
    result = record(trial.id, trial.settings, 0, diverged)
    lowest = result.validation_error if diverged else maes[-1]
    result = result.model_copy(update={"validation_error": lowest, "epochs": epochs})
    if scored:
        target = np.arange(12.0)
        test = compute_metrics(target, target + lowest)
        frame = pd.DataFrame({"id": [f"mp-{i}" for i in range(12)], "target": target, "prediction": target + lowest})
        frame.to_parquet(folder / "test_predictions.parquet", index=False)
        result = result.model_copy(update={"test": test})
    result.write(folder / "result.json")
    return Run.read(folder / "result.json")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A search of 27 trials on fold 0, one of which diverged, and a grid of two."""
    root = tmp_path_factory.mktemp("runs")
    benchmark = Benchmark(config(ENTRY, FIXED, search={"trials": 27, "halving": 3, "min_epochs": 3}, folds=[0]))
    (search,) = benchmark.searches.values()
    worst = max(play(search)[0].trials.items(), key=lambda item: error_of(Trial.from_settings(item[1])))[0]
    stages = play(search, diverging=[worst])
    trials = {trial: Trial.from_settings(s) for stage in stages for trial, s in stage.trials.items()}
    (best,) = stages[-1].trials
    epochs = {trial: n for (trial, _), n in stopped_epochs(stages).items()} | {best: 27}
    runs = [write(root, trial, epochs[id_], id_ == best, id_ == worst) for id_, trial in trials.items()]
    runs += [write(root, trial, 27, scored=True) for trial in benchmark.networks.values()]
    planned = PlannedRuns.of(with_stages(benchmark.resolved(), stages))
    standings = compute_standings(runs, select(runs), planned, {}, 200)
    return Results("gaps", standings, runs, MANIFEST, SPLITS, [], {}, {}, stages)


def test_while_selections_are_missing_no_trial_is_chosen_that_was_stopped(tmp_path: Path) -> None:
    """It has no score, however good its validation error was."""
    done, stopped = Benchmark(config(FIXED, search=None)).networks.values()
    runs = [write(tmp_path, done, 27, True), write(tmp_path, stopped, 9, False)]
    results = [runs[0].result, runs[1].result.model_copy(update={"validation_error": 1e-3})]
    assert {one.trial for one in chosen_trials(results, [0], None)[0].trials.values()} == {done.id}
    assert not chosen_trials(results[1:], [0], None)[0].trials


def test_progress_counts_every_epoch_once(results: Results) -> None:
    progress = search_progress(results)
    searched, grid = progress[progress["search"] != GRID], progress[progress["search"] == GRID]
    assert searched["epochs"].tolist() == [3] * 27 + [9] * 9 + [27] * 3
    assert searched["total_epochs"].iloc[-1] == 27 * 3 + 9 * 6 + 3 * 18 - 2  # the diverged one ended after an epoch
    assert grid["total_epochs"].tolist() == [27, 54]
    assert grid["total_seconds"].tolist() == [54.0, 108.0]
    assert np.isinf(searched["validation_error"]).sum() == 1
    assert searched["best_so_far"].iloc[-1] == searched["validation_error"].min()
    finite = [run.result.validation_error for run in results.runs if np.isfinite(run.result.validation_error)]
    assert progress["best_so_far"].min() == pytest.approx(min(finite))


def test_what_decides_the_error_is_important_and_the_rest_is_not(results: Results) -> None:
    table = importances(results, resamples=30).set_index("setting")
    assert table.index[0] == "training.learning_rate"
    assert table["importance"].tolist()[0] > 0.8
    assert table["low"].tolist()[0] > max(table["high"].tolist()[1:])
    assert (table["low"] <= table["high"]).all()
    assert table["importance"].between(0, 1).all()
    assert set(table["trials"]) == {26}
    assert set(table["diverged"]) == {1}
    assert importances(replace(results, runs=results.runs[:5])).empty
    pd.testing.assert_frame_equal(importances(results, 5), importances(results, 5))


def test_a_trial_on_several_folds_is_one(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    progress = search_progress(results)
    progress = progress[(progress["search"] != GRID) & np.isfinite(progress["validation_error"])]
    for n_trials, rows in ((7, 0), (8, 4)):
        some = progress[progress["trial"].isin(progress["trial"].unique()[:n_trials])]
        folds = pd.concat([some, some.assign(fold=1)])
        monkeypatch.setattr("sitenet.evaluation.search.search_progress", lambda _, folds=folds: folds)
        table = importances(results, 5)
        assert len(table) == rows
        assert set(table["trials"]) <= {n_trials}


def test_charts_by_setting_leave_out_trials_that_a_search_has_stopped(results: Results) -> None:
    (chart,) = setting_charts(results).values()
    assert len(chart.data[1]["x"]) == 2  # those of the grid


@pytest.mark.parametrize("perfect", [1, 39])
def test_perfect_trials_have_a_logarithm(results: Results, monkeypatch: pytest.MonkeyPatch, perfect: int) -> None:
    progress = search_progress(results)
    searched = np.flatnonzero((progress["search"] != GRID) & np.isfinite(progress["validation_error"]))
    progress.loc[progress.index[searched[:perfect]], "validation_error"] = 0.0
    monkeypatch.setattr("sitenet.evaluation.search.search_progress", lambda _: progress)
    assert importances(results, 5)["importance"].between(0, 1).all()


def test_drawn_trials_are_candidates_and_no_ablation(results: Results) -> None:
    leaderboard = leaderboard_table(results)
    (best,) = results.stages[-1].trials
    assert leaderboard["trial"].tolist() == [f"best of 29 by validation: {best} in 1"]
    assert leaderboard["search_seconds"].iloc[0] == len(results.runs)  # a second each, in these records
    trials = trials_table(results).set_index("trial")
    assert sorted(trials["epochs"]) == [3] * 18 + [9] * 6 + [27] * 5
    assert trials["test_mae"].notna().sum() == 3
    assert trials["folds_selected"].sum() == trials.loc[best, "folds_selected"] == 1
    assert {change.trial for change in compare_trials(results.runs, results.planned.grid)} == set(
        results.planned.grid.trials
    )
    assert len(results.planned.grid.trials) == 2


def test_markdown_and_figures(results: Results) -> None:
    text = search_markdown(search_progress(results), importances(results, 5), results)
    assert "27 to epoch 3, 9 to epoch 9, 3 to epoch 27" in text
    assert "2 to epoch 27" in text
    assert all(f"| training.{name}" in text for name in ("learning_rate",))
    assert len(search_progress_figure(results).axes) == 2
    assert len(search_importance_figure(results).axes) == 1
    empty = replace(results, runs=[], stages=[])
    nothing = search_markdown(search_progress(empty), importances(empty), empty)
    assert "No training of a search is finished yet." in nothing
    assert "nothing can be said" in nothing
    assert not search_progress_figure(empty).axes[0].lines
    search_importance_figure(empty)


def test_a_trial_on_two_folds_counts_as_one_candidate() -> None:
    benchmark = Benchmark(config(ENTRY, search={"trials": 9, "halving": 3, "min_epochs": 3}))
    (search,) = benchmark.searches.values()
    stages: list[Stage] = [stage for fold in (0, 1) for stage in play(search, fold)]
    planned = PlannedRuns.of(with_stages(benchmark.resolved(), stages))
    assert planned.n_candidates(planned.trials) == 9
