"""Trials of commands in environments of their own: their names, their choice, and mistakes in the configuration."""

from pathlib import Path

import pytest

from sitenet.config.benchmark import Benchmark
from sitenet.config.grid import expand_grid
from sitenet.config.trial import Trial
from sitenet.errors import UserError
from sitenet.evaluation.runs import PlannedRuns, leaderboard_rows
from sitenet.evaluation.selection import select_trials
from sitenet.records import Cost, RunKey, RunResult
from tests.unit.test_config import config


def trials(**model: object) -> dict[str, Trial]:
    return expand_grid([{"model": {"kind": "external"} | model}])


def test_a_name_changes_no_id_and_parameters_do() -> None:
    first, second = trials(parameters={"depth": [3, 4], "shape": {"kind": "wide"}}).values()
    (named,) = trials(parameters={"depth": 3, "shape": {"kind": "wide"}}, name="Boosting").values()
    assert named.id == first.id != second.id
    assert named.settings["model"]["name"] == "Boosting"
    assert "name" not in named.unnamed_settings["model"]


def result(trial: Trial, fold: int, validation_error: float) -> RunResult:
    return RunResult(
        key=RunKey(benchmark="b", trial=trial.id, fold=fold, seed=0),
        kind="external", settings=trial.unnamed_settings, target="gap", unit="eV", n_train=4, n_train_available=4,
        n_validation=2, validation_error=validation_error, n_parameters=None, epochs=None,
        cost=Cost(seconds=1, peak_memory_mb=1), versions={}, hardware={},
    )  # fmt: skip


def test_trials_of_one_command_are_chosen_by_validation_and_other_commands_are_other_models() -> None:
    boosting = list(trials(folder="models/boosting", parameters={"depth": [3, 4]}, name="Boosting").values())
    (forest,) = trials(folder="models/forest").values()
    (second,) = trials(folder="models/forest", command="python other.py").values()
    every = [*boosting, forest, second]
    planned = PlannedRuns({trial.id: trial.settings for trial in every}, [0, 1], [0])
    chosen = {}
    for fold, maes in enumerate(([1.0, 2.0, 9.0, 9.0], [2.0, 1.0, 9.0, 9.0])):
        selection = select_trials([result(trial, fold, mae) for trial, mae in zip(every, maes, strict=True)])
        chosen[fold] = selection
    rows = leaderboard_rows([], chosen, planned)
    assert {row.model: row.chosen for row in rows} == {
        "external (Boosting)": {0: boosting[0].id, 1: boosting[1].id},
        "external models/forest: python train.py": {0: forest.id, 1: forest.id},
        "external models/forest: python other.py": {0: second.id, 1: second.id},
    }
    assert [row.candidates for row in rows] == [2, 1, 1]
    assert all(row.is_trained_here and not row.is_refitted for row in rows)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"command": " "}, "'grid.2.model.command' has the value ' '"),
        ({"comand": "x"}, "did you mean 'grid.2.model.command'?"),
        ({"parameters": {"depth": float("nan")}}, "finite numbers, text"),
        ({"parameters": {"depth": {"integer": [1, 9]}}}, "'grid.2' has distributions, but only networks are searched"),
    ],
)
def test_a_mistake_is_one_line_when_the_workflow_is_planned(model: dict, message: str) -> None:
    with pytest.raises(UserError) as refused:
        Benchmark(config("grid", 2, value={"model": {"kind": "external"} | model}))
    assert message in str(refused.value)


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    benchmark = Benchmark(config("grid", 2, value={"model": {"kind": "external", "folder": "models/mine"}}))
    (trial,) = benchmark.external.values()
    with pytest.raises(UserError, match=r"'model.folder' .* has the value 'models/mine': there is no such folder in"):
        benchmark.check_model_files(trial)
    (tmp_path / "models/mine").mkdir(parents=True)
    benchmark.check_model_files(trial)


def test_trials_of_one_command_have_one_name() -> None:
    values = config("seeds", value=[0])
    entries = [{"model": {"kind": "external", "parameters": {"depth": n}, "name": f"depth {n}"}} for n in (3, 4)]
    with pytest.raises(UserError, match=r"'model.name' has the values 'depth 3' and 'depth 4' for trials of one"):
        Benchmark(values | {"grid": entries})
    entries[1]["model"]["command"] = "python deep.py"
    assert len(Benchmark(values | {"grid": entries}).external) == 2
