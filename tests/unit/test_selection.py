import math
from pathlib import Path

import pytest

from sitenet.errors import UserError
from sitenet.evaluation.selection import Selection, check_selections, select_trials, write_selection
from tests.unit.benchmark_runs import DUMMY_MEAN, DUMMY_MEDIAN, SITENET, run_result


def test_lowest_mean_over_seeds_wins() -> None:
    first, second = SITENET[:2]
    runs = [run_result(first, 0, seed, mae) for seed, mae in enumerate((0.1, 0.9))]
    runs += [run_result(second, 0, seed, mae) for seed, mae in enumerate((0.4, 0.5))]
    chosen = select_trials(runs).trials["sitenet"]
    assert chosen.trial == second
    assert chosen.validation_error == pytest.approx(0.45)


def test_each_kind_is_selected_by_itself() -> None:
    runs = [run_result(SITENET[0], 0, validation_error=2.0), run_result(DUMMY_MEAN, 0, validation_error=1.2)]
    runs.append(run_result(DUMMY_MEDIAN, 0, validation_error=1.1))
    assert {k: s.trial for k, s in select_trials(runs).trials.items()} == {
        "dummy": DUMMY_MEDIAN,
        "sitenet": SITENET[0],
    }


def test_ties_go_to_the_smaller_id_in_any_order() -> None:
    runs = [run_result(trial, 0, validation_error=0.5) for trial in SITENET]
    assert select_trials(runs).trials["sitenet"].trial == min(SITENET)
    assert select_trials(reversed(runs)) == select_trials(runs)


def test_diverged_trial_is_not_chosen() -> None:
    runs = [run_result(SITENET[0], 0, validation_error=math.nan), run_result(SITENET[1], 0, validation_error=9.0)]
    assert select_trials(runs).trials["sitenet"].trial == SITENET[1]
    with pytest.raises(UserError, match="no trial of sitenet has a finite validation error"):
        select_trials(runs[:1])


def test_predictions_of_others_are_not_chosen_among() -> None:
    """As in tables of unfinished benchmarks, which select among all runs that are there."""
    ours = run_result(SITENET[0], 0, validation_error=0.5)
    settings = {"model": {"kind": "published", "submission": "matbench_v0.1_rf"}}
    theirs = ours.model_copy(update={"kind": "published", "settings": settings, "validation_error": math.nan})
    assert list(select_trials([theirs, ours]).trials) == ["sitenet"]


def test_runs_of_several_folds_are_rejected() -> None:
    with pytest.raises(UserError, match=r"fold by fold.*\[0, 1\]"):
        select_trials([run_result(SITENET[0], 0), run_result(SITENET[0], 1)])


def test_selection_survives_the_file_and_diverged_records_too(tmp_path: Path) -> None:
    run_result(SITENET[0], 0, validation_error=math.inf).write(tmp_path / "run0.json")
    run_result(SITENET[1], 0, validation_error=0.5).write(tmp_path / "run1.json")
    write_selection([tmp_path / "run0.json", tmp_path / "run1.json"], tmp_path / "selection.json")
    chosen = Selection.read(tmp_path / "selection.json").trials["sitenet"]
    assert (chosen.trial, chosen.validation_error) == (SITENET[1], 0.5)


def test_a_selection_that_lacks_a_trained_model_is_refused() -> None:
    """As one that an earlier version wrote, by another name; otherwise the model would be in no table."""
    runs = [run_result(SITENET[0], 0), run_result(DUMMY_MEAN, 0)]
    chosen = select_trials(runs)
    check_selections(runs, {0: chosen})
    check_selections(runs, {})  # of a fold that is not planned
    lacking = chosen.model_copy(update={"trials": {"sitenet": chosen.trials["sitenet"]}})
    with pytest.raises(UserError, match=r"selection of fold 0 does not know the model dummy.*--forcerun select_trials"):
        check_selections(runs, {0: lacking})
