from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sitenet.config.grid import expand_grid
from sitenet.errors import UserError
from sitenet.evaluation.results import Results
from sitenet.evaluation.runs import PlannedRuns, Run, leaderboard_rows
from sitenet.evaluation.selection import Selection
from sitenet.evaluation.standings import Standings
from sitenet.evaluation.tables.leaderboard import comparison_table, leaderboard_table
from sitenet.evaluation.tables.record import without_missing
from sitenet.evaluation.tables.trials import trials_table
from sitenet.evaluation.tables.write import write_tables
from tests.unit.benchmark_runs import (
    DUMMY_MEAN,
    DUMMY_MEDIAN,
    FOREST,
    SITENET,
    results,
    select,
    write_benchmark,
    write_run,
)


def write_groups(path: Path, groups: Mapping[str, str]) -> None:
    """The table of targets as `load_data` leaves it."""
    table = {"id": list(groups), "target": [1.0] * len(groups), "group": list(groups.values())}
    pd.DataFrame(table).to_parquet(path, index=False)


def rows_of(results: Results) -> dict[str, dict[Any, Any]]:
    """Rows of the leaderboard by model."""
    return {row["model"]: row for row in leaderboard_table(results).to_dict("records")}


def test_rows_are_ranked_by_test_error_and_selected_by_validation(tmp_path: Path) -> None:
    runs = write_benchmark(tmp_path)
    table = leaderboard_table(results(runs))
    assert table["model"].tolist() == ["random_forest", "sitenet", "dummy (median)", "dummy (mean)"]
    assert table["rank"].tolist() == [1, 2, 3, 4]
    # The third trial is better on the test part; validation prefers the second.
    assert table.loc[1, "trial"] == f"best of 4 by validation: {SITENET[1]} in 2"
    chosen = [run.test.mae for run in runs if run.result.key.trial == SITENET[1]]
    assert table.loc[1, "mae"] == pytest.approx(np.mean(chosen))
    assert table.loc[1, "mae_std"] == pytest.approx(np.std(chosen, ddof=1))
    assert table.loc[0, "trial"] == FOREST


def test_tables_say_how_many_trials_were_compared_and_how_many_runs_are_missing(tmp_path: Path) -> None:
    runs = [run for run in write_benchmark(tmp_path) if run.result.key.trial not in SITENET[1:]]
    found = results(runs)
    assert rows_of(found)["sitenet"]["trial"] == f"best of 1 of 4 by validation: {SITENET[0]} in 2"
    write_tables(found, tmp_path, ablation=False)
    assert "\n- Missing: 6 of 14 planned runs;" in (tmp_path / "leaderboard.md").read_text()
    write_tables(results(write_benchmark(tmp_path / "all")), tmp_path, ablation=False)
    assert "Missing: " not in (tmp_path / "leaderboard.md").read_text()


def test_a_budget_of_time_stands_beside_the_trial(tmp_path: Path) -> None:
    runs = write_benchmark(tmp_path)
    limited = runs[2].result.model_copy(
        update={"settings": runs[2].result.settings | {"training": {"max_minutes": 56.0}}}
    )
    assert limited.key.trial == SITENET[1]
    table = leaderboard_table(results([*runs[:2], Run(limited, runs[2].folder), *runs[3:]]))
    assert table.loc[1, "trial"] == f"best of 4 by validation: {SITENET[1]} in 2, within 56 minutes a run"


def test_pretrained_models_are_marked_and_also_ranked_apart(tmp_path: Path) -> None:
    runs = write_benchmark(tmp_path)
    for number, run in enumerate(runs):
        if run.result.key.trial in (FOREST, DUMMY_MEDIAN):
            model = run.result.settings["model"] | {"features": "chgnet"}
            read = run.result.model_copy(update={"settings": run.result.settings | {"model": model}})
            runs[number] = Run(read, run.folder)
    found = results(runs)
    table = leaderboard_table(found).set_index("model")
    assert table["pretrained"].tolist() == ["CHGNet 0.3.0", "", "CHGNet 0.3.0", ""]
    assert table["rank_alike"].tolist() == [1, 1, 2, 2]
    write_tables(found, tmp_path, ablation=False)
    text = (tmp_path / "leaderboard.md").read_text()
    assert (
        "- Pretrained: random_forest; dummy (median) read features of sites by CHGNet 0.3.0, which saw energies" in text
    )
    assert "- Ranks without pretrained models: 1 sitenet; 2 dummy (mean)." in text


def test_selected_row_takes_each_folds_own_choice(tmp_path: Path) -> None:
    runs = write_benchmark(tmp_path)
    selections = select(runs)
    other = selections[1].trials["sitenet"].model_copy(update={"trial": SITENET[3]})
    selections[1] = Selection(trials={"sitenet": other})
    found = results(runs, selections=selections)
    chosen = next(row for row in found.standings.rows if row.kind == "sitenet")
    assert {k: own[0].result.key.trial for k, own in chosen.runs.items()} == {0: SITENET[1], 1: SITENET[3]}
    row = rows_of(found)["sitenet"]
    assert row["trial"] == f"best of 4 by validation: {SITENET[1]} in 1, {SITENET[3]} in 1"


def test_interval_holds_the_score_and_difference_is_paired(tmp_path: Path) -> None:
    rows = rows_of(results(write_benchmark(tmp_path)))
    for row in rows.values():
        assert row["mae_low"] < row["mae"] < row["mae_high"]
    assert np.isnan(rows["random_forest"]["difference"])
    for row in list(rows.values())[1:]:
        assert row["difference"] == pytest.approx(row["mae"] - rows["random_forest"]["mae"])
        assert row["difference_low"] < row["difference"] < row["difference_high"]
    # All errors scale the same noise, so pairing removes nearly all of the spread of close models.
    sitenet = rows["sitenet"]
    paired = sitenet["difference_high"] - sitenet["difference_low"]
    assert paired < 0.2 * (sitenet["mae_high"] - sitenet["mae_low"])


def test_verdicts_say_who_is_tied_with_the_best(tmp_path: Path) -> None:
    """A model that differs by the sign of its noise, one that is worse everywhere, and one that lacks a fold."""
    rng, n = np.random.default_rng(0), 60
    runs = []
    for fold in (0, 1):
        noise = rng.uniform(0.5, 1.5, n)
        runs += [
            write_run(tmp_path, FOREST, fold, noise),
            write_run(tmp_path, DUMMY_MEDIAN, fold, noise + rng.normal(0.02, 0.2, n)),
            write_run(tmp_path, DUMMY_MEAN, fold, 1.2 * noise),
        ]
    runs.append(write_run(tmp_path, SITENET[1], 0, 9 * noise))
    rows = rows_of(results(runs))
    assert [row["verdict"] for row in rows.values()][:3] == ["best", "tied with the best", "worse"]
    assert pd.isna(rows["sitenet"]["verdict"])
    assert np.isnan(rows["random_forest"]["p_value"])
    assert np.isnan(rows["sitenet"]["p_value"])
    assert rows["dummy (mean)"]["p_value"] < 0.01 < 0.05 < rows["dummy (median)"]["p_value"]


def test_polymorphs_count_as_one_crystal(tmp_path: Path) -> None:
    """A difference that 1,200 crystals establish is none if these are of 60 formulas whose polymorphs are alike."""
    rng = np.random.default_rng(1)
    errors, more = (np.repeat(values, 20) for values in (rng.exponential(size=60), rng.normal(0.05, 0.3, size=60)))
    runs = [write_run(tmp_path, FOREST, 0, errors + 2), write_run(tmp_path, DUMMY_MEAN, 0, errors + 2 + more)]
    groups = {f"mp-0-{i}": f"formula {i // 20}" for i in range(1200)}
    alone, together = (rows_of(results(runs, folds=(0,), groups=found)) for found in ({}, groups))
    assert alone["dummy (mean)"]["verdict"] == "worse"
    assert together["dummy (mean)"]["verdict"] == "tied with the best"
    widths = [rows["random_forest"]["mae_high"] - rows["random_forest"]["mae_low"] for rows in (alone, together)]
    assert widths[1] > 2 * widths[0]


def test_few_formulas_have_no_rank_interval_or_verdict(tmp_path: Path) -> None:
    """49 formulas are too few, whatever the number of crystals; 50 are not. The table says why."""
    rng = np.random.default_rng(2)
    errors = rng.exponential(size=100)
    runs = [write_run(tmp_path, trial, 0, errors * scale) for trial, scale in ((FOREST, 1), (DUMMY_MEAN, 2))]
    for n, ranks in ((49, [None, None]), (50, [1, 2])):
        found = results(runs, folds=(0,), groups={f"mp-0-{i}": f"formula {i % n}" for i in range(100)})
        write_tables(found, tmp_path, ablation=False)
        rows = without_missing(leaderboard_table(found))[:2]
        assert [row["rank"] for row in rows] == ranks
        assert [row["model"] for row in rows] == ["random_forest", "dummy (mean)"]
        assert [row["mae_low"] is None for row in rows] == [row["verdict"] is None for row in rows] == [n < 50] * 2
        assert rows[1]["difference"] == pytest.approx(errors.mean())
        text = (tmp_path / "leaderboard.md").read_text()
        assert ("have 49 different formulas or groups, fewer than 50: too few for intervals" in text) == (n < 50)
        assert "nan" not in text.lower()


def test_spread_over_folds_and_over_seeds_are_columns_of_their_own(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path, SITENET[0], fold, [1.0 + 2 * fold + 0.1 * seed] * 30, seed)
        for fold in (0, 1)
        for seed in (0, 1)
    ]
    rows = rows_of(results(runs, seeds=(0, 1)))
    assert rows["sitenet"]["mae_std"] == pytest.approx(np.sqrt(2))
    assert rows["sitenet"]["mae_std_seeds"] == pytest.approx(0.1 / np.sqrt(2))
    assert np.isnan(rows["sitenet, ensemble of 2 seeds"]["mae_std_seeds"])


def test_of_many_models_each_is_compared_with_the_best_alone(tmp_path: Path) -> None:
    found = results(write_benchmark(tmp_path)).standings
    many = Standings(found.rows * 6, 4, found.bootstrap, found.planned)
    table = comparison_table(replace(many, bootstrap=None, n_ranked=0))
    assert len(table) == 23
    assert set(table["model"]) == {"random_forest"}


def test_models_that_lack_a_fold_come_last_without_a_rank(tmp_path: Path) -> None:
    runs = [run for run in write_benchmark(tmp_path) if run.folder.parts[-3:-1] != (FOREST, "fold1")]
    rows = rows_of(results(runs, folds=(0, 1, 2)))
    assert list(rows) == ["sitenet", "dummy (median)", "dummy (mean)", "random_forest"]
    assert [row["rank"] for row in rows.values()][:3] == [1, 2, 3]
    assert pd.isna(rows["random_forest"]["rank"])
    assert [row["folds_scored"] for row in rows.values()] == [2, 2, 2, 1]
    assert {row["folds_planned"] for row in rows.values()} == {3}


def test_models_are_compared_on_the_folds_they_share(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, DUMMY_MEAN, 0, [2.0, 4.0]), write_run(tmp_path, DUMMY_MEAN, 1, [0.5, 0.5])]
    runs.append(write_run(tmp_path, FOREST, 0, [1.0, 3.0]))
    rows = rows_of(results(runs))
    assert rows["dummy (mean)"]["mae"] == pytest.approx(1.75)
    assert rows["random_forest"]["mae"] == pytest.approx(2.0)
    assert rows["random_forest"]["difference"] == pytest.approx(-1.0)


def test_planned_models_without_any_run_are_shown(tmp_path: Path) -> None:
    runs = [run for run in write_benchmark(tmp_path) if run.result.kind == "sitenet"]
    rows = rows_of(results(runs))
    assert len(rows) == 4
    assert rows["random_forest"]["folds_scored"] == 0
    assert np.isnan(rows["random_forest"]["mae"])
    assert rows["sitenet"]["rank"] == 1


def test_seeds_are_averaged_for_each_crystal_before_anything_else(tmp_path: Path) -> None:
    write_run(tmp_path, FOREST, 0, [1.0, 0.0, 2.0], seed=0)
    runs = [Run.read(tmp_path / FOREST / "fold0/seed0/result.json")]
    runs.append(write_run(tmp_path, FOREST, 0, [0.0, -1.0, 2.0], seed=1))
    found = results(runs, folds=(0,), seeds=(0, 1, 2))
    assert found.standings.bootstrap is not None
    assert found.standings.bootstrap.observed[0, 0] == pytest.approx(np.mean([0.5, 0.5, 2.0]))
    row = rows_of(found)["random_forest"]
    assert (row["runs_scored"], row["runs_planned"]) == (2, 3)
    assert row["n_test"] == 3
    assert row["training_seconds"] == 20.0


def test_several_seeds_of_a_network_make_an_ensemble_too(tmp_path: Path) -> None:
    """Errors of averaged predictions, paired with those of the single networks; costs of all of them."""
    errors = ([1.0, 0.5, 2.0, 0.0], [-1.0, 0.5, 1.0, 0.0])
    runs = [write_run(tmp_path, SITENET[0], 0, values, seed) for seed, values in enumerate(errors)]
    runs.append(write_run(tmp_path, FOREST, 0, [3.0, 3.0, 3.0, 3.0], seed=0))
    runs.append(write_run(tmp_path, FOREST, 0, [3.0, 3.0, 3.0, 3.0], seed=1))
    found = results(runs, folds=(0,), seeds=(0, 1))
    rows = rows_of(found)
    single, ensemble = rows["sitenet"], rows["sitenet, ensemble of 2 seeds"]
    assert list(rows)[:3] == ["sitenet, ensemble of 2 seeds", "sitenet", "random_forest"]
    assert single["mae"] == pytest.approx(np.mean([1, 0.5, 1.5, 0]))
    assert ensemble["mae"] == pytest.approx(np.mean([0, 0.5, 1.5, 0]))
    assert ensemble["rmse"] == pytest.approx(np.sqrt(np.mean([0, 0.25, 2.25, 0])))
    assert ensemble["max_error"] == 1.5
    assert single["difference"] == pytest.approx(0.25)
    assert (ensemble["training_seconds"], ensemble["runs_scored"], ensemble["n_test"]) == (20.0, 2, 4)
    assert (single["parameters_max"], ensemble["parameters_max"]) == (1234, 2468)
    assert trials_table(found).set_index("trial").loc[SITENET[0], "folds_selected"] == 1


def test_an_ensemble_tells_where_seeds_are_missing(tmp_path: Path) -> None:
    places = [(0, 0), (0, 1), (1, 0)]
    runs = [write_run(tmp_path, SITENET[0], fold, [1.0, 2.0], seed) for fold, seed in places]
    assert "sitenet, ensemble of 1 or 2 seeds" in rows_of(results(runs, seeds=(0, 1)))


def test_runs_that_are_not_planned_are_left_out(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, FOREST, fold, [1.0, 1.0], seed) for fold in (0, 1) for seed in (0, 1)]
    row = rows_of(results(runs, folds=(0,), seeds=(1,)))["random_forest"]
    assert (row["runs_scored"], row["runs_planned"], row["training_seconds"]) == (1, 1, 10.0)


def test_unlabelled_folds_are_not_scored_and_cost_no_model_its_rank(tmp_path: Path) -> None:
    unlabelled = [np.nan] * 3
    runs = [
        write_run(tmp_path, FOREST, 0, [1.0, 2.0, 3.0] * 20),
        write_run(tmp_path, DUMMY_MEAN, 0, [2.0, 2.0, 3.0] * 20),
    ]
    runs += [write_run(tmp_path, trial, 1, [1.0] * 3, targets=unlabelled) for trial in (FOREST, DUMMY_MEAN)]
    row = rows_of(results(runs))["random_forest"]
    assert (row["rank"], row["folds_scored"], row["mae"]) == (1, 1, 2.0)


def test_the_time_of_a_model_without_scored_runs_is_unknown_and_not_zero(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, FOREST, 0, [1.0, 2.0]), write_run(tmp_path, DUMMY_MEAN, 0, [1.0], targets=[np.nan])]
    rows = rows_of(results(runs, folds=(0,)))
    assert rows["random_forest"]["training_seconds"] == 10.0
    assert np.isnan(rows["dummy (mean)"]["training_seconds"])


def test_partly_unlabelled_folds_are_counted_in_the_footer(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, FOREST, 0, [1.0, 2.0, 3.0], targets=[1.0, np.nan, 2.0])]
    write_tables(results(runs), tmp_path, ablation=False)
    assert "Unlabelled test crystals: 1 " in (tmp_path / "leaderboard.md").read_text()
    assert pd.read_csv(tmp_path / "leaderboard.csv").loc[0, "n_test"] == 2


def test_models_scored_on_different_crystals_are_not_compared(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, FOREST, 0, [1.0, 2.0, 3.0]), write_run(tmp_path, DUMMY_MEAN, 0, [1.0, 2.0])]
    with pytest.raises(UserError, match=r"fold 0: dummy \(mean\) lacks 1 of the 3 crystals"):
        results(runs)


def test_single_fold_has_no_standard_deviation(tmp_path: Path) -> None:
    rows = rows_of(results(write_benchmark(tmp_path, folds=(0,)), folds=(0,)))
    assert np.isnan([row["mae_std"] for row in rows.values()]).all()


def test_comparisons_are_antisymmetric_in_sign_and_complete(tmp_path: Path) -> None:
    runs = write_benchmark(tmp_path)
    standings = results(runs).standings
    table = comparison_table(standings)
    assert len(table) == 6
    assert (table["difference"] <= 0).all()  # the better model is named first
    assert (table["n_test"] == 60).all()
    assert standings.difference(0, 1).value == -standings.difference(1, 0).value


def test_tables_do_not_depend_on_the_order_of_the_runs(tmp_path: Path) -> None:
    runs = write_benchmark(tmp_path)
    pd.testing.assert_frame_equal(leaderboard_table(results(runs)), leaderboard_table(results(runs[::-1])))


@pytest.mark.parametrize(
    ("paths", "shown"),
    [
        (["/home/me/mine.csv"], ["mine.csv"]),
        (["a/mine.csv", "b/mine.csv"], ["a/mine.csv", "b/mine.csv"]),
        (["mine.csv", "b/mine.csv"], ["mine.csv", "b/mine.csv"]),
        (["/home/me/alignn/results.json.gz"], ["alignn/results.json.gz"]),
    ],
)
def test_a_file_of_predictions_is_called_by_the_end_of_its_path(paths: list[str], shown: list[str]) -> None:
    grid = expand_grid([{"model": {"kind": "predictions", "path": path}} for path in paths])
    rows = leaderboard_rows([], {}, PlannedRuns({id_: trial.settings for id_, trial in grid.items()}, (0,), (0,)))
    assert [row.model for row in rows] == [f"predictions ({name})" for name in shown]
