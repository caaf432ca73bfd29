"""Selection of one trial for each model on one fold, by validation scores alone."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sitenet.config.trial import family
from sitenet.errors import UserError
from sitenet.models.registry import model_kinds
from sitenet.records import FileRecord, Record, RunResult


class SelectedTrial(Record):
    """The selected trial and its validation error, averaged over seeds, in the unit of the target if it has one."""

    trial: str
    validation_error: float


class Selection(FileRecord):
    """The selected trial of each model kind on one fold; commands are models of their own, see `family`."""

    newest_format = 3
    format: int = 3
    trials: dict[str, SelectedTrial]

    @classmethod
    def upgrade(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Converts format 1, which had only the trials, and format 2, whose error was called validation_mae."""
        own = values if "trials" in values else {"trials": values}
        if not isinstance(own["trials"], dict):
            return own
        return own | {"trials": {kind: _with_error(chosen) for kind, chosen in own["trials"].items()}}


def _with_error(chosen: Any) -> Any:
    if not isinstance(chosen, dict):
        return chosen
    return {"validation_error" if name == "validation_mae" else name: value for name, value in chosen.items()}


def select_trials(results: Iterable[RunResult]) -> Selection:
    """Selects for each model kind the trial with the lowest mean validation error; of equal ones, the smaller id.

    Predictions that were made elsewhere have no validation error, and are left out.

    Raises:
        UserError: The results are of several folds, or no trial of a kind has a finite validation error.
    """
    scores: dict[str, dict[str, list[float]]] = {}
    folds = set()
    for result in results:
        if model_kinds()[result.kind].role == "predictions":
            continue
        folds.add(result.key.fold)
        scores.setdefault(family(result.settings), {}).setdefault(result.key.trial, []).append(result.validation_error)
    if len(folds) > 1:
        raise UserError(f"trials are selected fold by fold, but the runs are of the folds {sorted(folds)}")
    return Selection(trials={kind: _best(kind, trials) for kind, trials in sorted(scores.items())})


def check_selections(results: Iterable[RunResult], chosen: Mapping[int, Selection]) -> None:
    """Refuses selections that lack a model which has been trained: the tables would leave it out without a word.

    Args:
        results: Finished runs.
        chosen: The selection of each fold.

    Raises:
        UserError: A model is in no selection of its fold.
    """
    for result in results:
        fold, model = result.key.fold, family(result.settings)
        if model_kinds()[result.kind].role != "predictions" and fold in chosen and model not in chosen[fold].trials:
            raise UserError(
                f"the selection of fold {fold} does not know the model {model}, which another version of sitenet may "
                "have called otherwise: run again with `--forcerun select_trials`"
            )


def _best(kind: str, trials: dict[str, list[float]]) -> SelectedTrial:
    means = {trial: float(np.mean(errors)) for trial, errors in trials.items()}
    finite = [(error, trial) for trial, error in means.items() if np.isfinite(error)]
    if not finite:
        raise UserError(f"no trial of {kind} has a finite validation error: {', '.join(sorted(trials))}")
    error, trial = min(finite)
    return SelectedTrial(trial=trial, validation_error=error)


def write_selection(run_records: Sequence[Path | str], path: Path | str) -> None:
    """Writes the selection of one fold from its `run.json` records, which have no test scores."""
    select_trials(map(RunResult.read, run_records)).write(path)
