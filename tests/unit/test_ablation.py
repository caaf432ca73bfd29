from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from sitenet.config.grid import expand_grid
from sitenet.errors import UserError
from sitenet.evaluation.ablation import Change, ablation_table, compare_trials
from sitenet.evaluation.figures import ablation as figure_module
from sitenet.evaluation.figures.ablation import ablation_figure
from sitenet.evaluation.figures.style import BLUE, ORANGE, save_figure
from sitenet.evaluation.runs import Run
from sitenet.evaluation.statistics.paired import paired_difference
from sitenet.evaluation.tables.markdown import ablation_markdown
from sitenet.evaluation.tables.rounding import measured
from sitenet.evaluation.tables.write import write_tables
from tests.unit import benchmark_runs
from tests.unit.benchmark_runs import FOREST, SITENET, planned, results_of, write_run

REFERENCE, BETTER, SAME, WORSE = SITENET
SEEDS = (0, 1, 2)
PLANNED = planned(folds=(0, 1), seeds=SEEDS)
SHIFTS = {REFERENCE: 0.0, BETTER: -0.2, SAME: 0.001, WORSE: 0.3}


def write_runs(root: Path, n_crystals: int = 30) -> list[Run]:
    """Runs whose errors differ from the reference's by a shift, and noise of seeds and crystals."""
    rng = np.random.default_rng(0)
    crystals = {fold: rng.uniform(1, 2, n_crystals) for fold in PLANNED.folds}
    runs = []
    for trial, shift in SHIFTS.items():
        for fold in PLANNED.folds:
            for seed in SEEDS:
                errors = crystals[fold] + shift + rng.normal(0, 0.01, n_crystals) + rng.normal(0, 0.01)
                runs.append(write_run(root, trial, fold, errors, seed, validation_error=1.4 + shift))
    return runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    return write_runs(tmp_path_factory.mktemp("runs"))


def by_trial(changes: list[Change]) -> dict[str, Change]:
    return {change.trial: change for change in changes}


def without(runs: list[Run], trial: str, fold: int | None = None) -> list[Run]:
    keys = [(run, run.result.key) for run in runs]
    return [run for run, key in keys if key.trial != trial or fold not in (None, key.fold)]


def test_trials_are_compared_with_the_first_of_the_grid_best_first(runs: list[Run]) -> None:
    changes = compare_trials(runs[::-1], PLANNED)
    assert [change.trial for change in changes] == [REFERENCE, BETTER, SAME, WORSE]
    assert changes[0].is_reference
    assert np.isnan(changes[0].difference).all()
    assert {change.reference for change in changes} == {REFERENCE}
    assert changes[1].settings == {"training.learning_rate": (8.126e-4, 2e-3)}
    assert changes[3].settings == {"model.blocks": (1, 2), "training.learning_rate": (8.126e-4, 2e-3)}


def test_every_number_of_training_crystals_has_its_reference(runs: list[Run]) -> None:
    sizes = {REFERENCE: 90, BETTER: None, SAME: 90, WORSE: None}
    trials: dict[str, Any] = {trial: dict(settings) for trial, settings in PLANNED.trials.items()}
    for trial, size in sizes.items():
        trials[trial]["training"] = trials[trial]["training"] | {"max_crystals": size}
    sized = replace(PLANNED, trials=trials)
    changes = compare_trials(runs, sized)
    assert [(change.reference, change.trial) for change in changes] == [
        (REFERENCE, REFERENCE),
        (REFERENCE, SAME),
        (BETTER, BETTER),
        (BETTER, WORSE),
    ]
    assert changes[3].difference.value == pytest.approx(0.5, abs=0.05)
    assert changes[3].settings == {"model.blocks": (1, 2)}
    figure = ablation_figure(results_of(runs, sized))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [" ".join(title.split()).split(" against ")[0] for title in titles] == [
        "sitenet, 90 training crystals",
        "sitenet, all training crystals",
    ]
    text = ablation_markdown(ablation_table(changes, sized), "eV")
    assert "| reference: 90 training crystals |" in " ".join(text.split())


def test_numbers_of_crystals_that_no_run_reached_are_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = [{"model": {"kind": "sitenet"}, "training": {"max_crystals": [50, 5000], "learning_rate": [1e-3, 2e-3]}}]
    trials = {id_: trial.settings for id_, trial in expand_grid(grid).items()}  # 90 crystals are there
    monkeypatch.setattr(benchmark_runs, "ALL_TRIALS", trials)
    runs = [write_run(tmp_path, trial, 0, np.ones(4)) for trial in trials]
    changes = compare_trials(runs, replace(PLANNED, trials=trials))
    assert {change.among for change in changes} == {"50 training crystals", "all training crystals"}


def test_difference_is_paired_in_folds_seeds_and_crystals(runs: list[Run]) -> None:
    errors = {
        (run.result.key.trial, run.result.key.fold, run.result.key.seed): run.crystal_errors().to_numpy()
        for run in runs
    }
    expected = {
        fold: np.stack([errors[BETTER, fold, seed] - errors[REFERENCE, fold, seed] for seed in SEEDS])
        for fold in PLANNED.folds
    }
    change = by_trial(compare_trials(runs, PLANNED))[BETTER]
    assert change.difference == pytest.approx(paired_difference(expected))
    assert change.difference.high - change.difference.low < 0.1  # crystals alone spread by 0.3
    assert change.by_run[1, 2] == pytest.approx(expected[1][2].mean())
    assert change.validation_difference == pytest.approx(-0.2)
    assert change.n_test == 60


def test_runs_that_are_missing_are_left_out_in_pairs(runs: list[Run]) -> None:
    done = [run for run in without(runs, BETTER, fold=1) if run.folder.parts[-3:] != (REFERENCE, "fold0", "seed1")]
    changes = by_trial(compare_trials(done, PLANNED))
    assert sorted(changes[BETTER].by_run) == [(0, 0), (0, 2)]
    assert len(changes[SAME].by_run) == 5
    table = ablation_table([changes[BETTER]], PLANNED)
    assert table[["runs_paired", "runs_planned", "seeds", "n_test"]].to_numpy().tolist() == [[2, 6, 2, 30]]


@pytest.mark.parametrize("missing", [BETTER, REFERENCE])
def test_trials_without_a_pair_have_a_dash_and_come_last(missing: str, runs: list[Run]) -> None:
    changes = compare_trials(without(runs, missing), PLANNED)
    assert np.isnan(changes[-1].difference).all()
    text = ablation_markdown(ablation_table(changes, PLANNED), "eV")
    (row,) = (line for line in text.splitlines() if f"| {changes[-1].trial} " in line)
    assert [cell.strip() for cell in row.split("|")][5:8] == ["-", "-", "-"]
    assert "nan" not in text.lower()


def test_withheld_targets_leave_the_difference_in_validation_error(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path, trial, 0, [1.0] * 3, targets=[np.nan] * 3, validation_error=1 + SHIFTS[trial])
        for trial in (REFERENCE, WORSE)
    ]
    change = by_trial(compare_trials(runs, planned(folds=(0,))))[WORSE]
    assert np.isnan(change.difference).all()
    assert change.validation_difference == pytest.approx(0.3)
    assert change.time_ratio == 1.0


def test_runs_of_other_plans_and_baselines_are_left_out(runs: list[Run], tmp_path: Path) -> None:
    more = [*runs, write_run(tmp_path, FOREST, 0, [1.0, 2.0]), write_run(tmp_path, BETTER, 5, [1.0, 2.0])]
    assert compare_trials(more, PLANNED) == compare_trials(runs, PLANNED)


def test_different_crystals_are_not_compared(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, REFERENCE, 0, [1.0, 2.0, 3.0]), write_run(tmp_path, BETTER, 0, [1.0, 2.0])]
    with pytest.raises(UserError, match="fold 0: 1 of 3 crystals were not scored in every run"):
        compare_trials(runs, planned(folds=(0,)))


def test_tables_name_the_change_and_the_statistics(runs: list[Run], tmp_path: Path) -> None:
    changes = compare_trials(runs, PLANNED)
    write_tables(results_of(runs, PLANNED), tmp_path, ablation=True)
    frame = pd.read_csv(tmp_path / "ablation.csv", keep_default_na=False)
    assert frame["changes"].tolist()[:2] == ["", "learning_rate: 0.0008126 -> 0.002"]
    assert frame["unit"].unique().tolist() == ["eV"]
    text = (tmp_path / "ablation.md").read_text()
    for expected in ("| reference ", "test MAE (eV)", "6 of 6", "x 1.00", "of 3 trials without any effect, 0.2 are"):
        assert expected in text
    change = changes[1].difference
    cells = " ".join(text.split())
    assert f"| {measured(*change, sign='+')} |" in cells


def rows_of(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_figure_has_a_row_a_trial_with_its_interval_and_runs(runs: list[Run]) -> None:
    changes = compare_trials(runs, PLANNED)
    figure = ablation_figure(results_of(runs, PLANNED))
    assert rows_of(figure) == ["learning_rate = 0.002", "blocks = 2", "blocks = 2, learning_rate = 0.002"]
    lines = figure.axes[0].get_lines()
    points, intervals, values = lines[0:9:3], lines[1:9:3], lines[2:9:3]
    for row, change in enumerate(changes[1:]):
        assert sorted(np.asarray(points[row].get_xdata())) == sorted(change.by_run.values())
        assert np.asarray(intervals[row].get_xdata()).tolist() == list(change.difference[1:])
        assert np.asarray(values[row].get_xdata()).tolist() == [change.difference.value]
        assert set(np.asarray(values[row].get_ydata())) == {row}
    assert [line.get_color() for line in values] == [BLUE, figure_module.DARK, ORANGE]
    assert REFERENCE in figure.axes[0].get_title(loc="left")


def test_labels_break_between_settings() -> None:
    settings = {f"model.a_setting_with_a_long_name_{i}": (None, i) for i in range(4)}
    label = figure_module._label(Change("sitenet", "b", "a", "", settings, 1.0))
    assert label == "a_setting_with_a_long_name_0 = 0,\na_setting_with_a_long_name_1 = 1, ..."


def test_figure_shows_the_best_of_many_and_says_so(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figure_module, "MAX_ROWS", 2)
    figure = ablation_figure(results_of(runs, PLANNED))
    assert rows_of(figure) == ["learning_rate = 0.002", "blocks = 2"]
    assert "the best 2 of 3 trials" in figure.axes[0].get_title(loc="left")


def test_figure_of_nothing_says_so_and_the_same_input_gives_the_same_bytes(runs: list[Run], tmp_path: Path) -> None:
    empty = ablation_figure(results_of([], PLANNED))
    assert "no test scores" in empty.axes[0].get_title(loc="left")
    save_figure(empty, [tmp_path / "empty.svg"])
    paths = [tmp_path / f"{repeat}.svg" for repeat in range(2)]
    for path in paths:
        save_figure(ablation_figure(results_of(runs, PLANNED)), [path])
    assert paths[0].read_bytes() == paths[1].read_bytes()
