"""Choice of one trial for each model kind on one fold, from validation scores alone."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from pydantic import RootModel

from sitenet.errors import UserError
from sitenet.files import write_text
from sitenet.records import Record, RunResult


class SelectedTrial(Record):
    """The chosen trial and its validation MAE, averaged over seeds, in the unit of the target."""

    trial: str
    validation_mae: float


class Selection(RootModel[dict[str, SelectedTrial]]):
    """The chosen trial of each model kind on one fold."""

    @classmethod
    def read(cls, path: Path | str) -> "Selection":
        """Reads the selection at `path`."""
        return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))

    def write(self, path: Path | str) -> None:
        """Writes the selection as JSON."""
        write_text(path, self.model_dump_json(indent=2) + "\n")


def select_trials(results: Iterable[RunResult]) -> Selection:
    """Chooses for each model kind the trial with the lowest mean validation MAE; ties go to the smaller id.

    Raises:
        UserError: The results are of several folds, or no trial of a kind has a finite validation MAE.
    """
    scores: dict[str, dict[str, list[float]]] = {}
    folds = set()
    for result in results:
        folds.add(result.key.fold)
        scores.setdefault(result.kind, {}).setdefault(result.key.trial, []).append(result.validation_mae)
    if len(folds) > 1:
        raise UserError(f"selection is made fold by fold, got runs of the folds {sorted(folds)}")
    return Selection({kind: _best(kind, trials) for kind, trials in sorted(scores.items())})


def _best(kind: str, trials: dict[str, list[float]]) -> SelectedTrial:
    means = {trial: float(np.mean(maes)) for trial, maes in trials.items()}
    finite = [(mae, trial) for trial, mae in means.items() if np.isfinite(mae)]
    if not finite:
        raise UserError(f"no trial of {kind} has a finite validation MAE: {', '.join(sorted(trials))}")
    mae, trial = min(finite)
    return SelectedTrial(trial=trial, validation_mae=mae)


def write_selection(run_records: Sequence[Path | str], path: Path | str) -> None:
    """Writes the selection of one fold from its `run.json` records, which hold no test score."""
    select_trials(map(RunResult.read, run_records)).write(path)
