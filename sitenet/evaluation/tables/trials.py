"""Table of all trials with their settings and scores."""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from sitenet.evaluation.results import Results
from sitenet.evaluation.runs import PlannedRuns, Run
from sitenet.models.registry import is_selected
from sitenet.tasks import Task


def trials_table(results: Results) -> pd.DataFrame:
    """One row for each planned trial: its settings and its scores on each fold, averaged over seeds.

    Trials of one kind are sorted by their mean validation error. Where there are searches, `epochs` says how long a
    trial was trained. `folds_selected` counts the folds on which the trial was selected for the leaderboard; it is
    empty for baselines, which are not selected.
    """
    planned = results.planned
    chosen = [trial for row in results.standings.rows if not row.is_ensemble for trial in row.chosen.values()]
    rows = []
    for kind, trials in planned.trials_by_kind().items():
        for trial, settings in trials.items():
            own = [run for run in results.runs if run.result.key.trial == trial]
            plain = {name: _plain(value) for name, value in settings.items() if name != "model.kind"}
            selected = pd.NA if not is_selected(kind) else chosen.count(trial)
            rows.append(
                {"kind": kind, "trial": trial}
                | plain
                | _scores(own, planned, results.task)
                | {"folds_selected": selected}
            )
    frame = pd.DataFrame(rows, dtype=object)  # integers stay integers in columns with empty cells
    last = ["folds_selected", *_scores([], planned, results.task)]
    frame = frame[[name for name in frame if name not in last] + last]
    return frame.sort_values(["kind", f"validation_{results.task.error.key}", "trial"], ignore_index=True)


def _plain(value: object) -> object:
    return json.dumps(value) if isinstance(value, list | dict) else value


def _scores(runs: Sequence[Run], planned: PlannedRuns, task: Task) -> dict[str, object]:
    error, score = f"validation_{task.error.key}", f"test_{task.score.key}"
    by_fold = {fold: [run for run in runs if run.result.key.fold == fold] for fold in planned.folds}
    validation = {fold: _mean([run.result.validation_error for run in own]) for fold, own in by_fold.items()}
    test = {
        fold: _mean([run.metrics()[task.score.key] for run in own if run.is_scored]) for fold, own in by_fold.items()
    }
    return {
        error: _mean(list(validation.values())),
        score: _mean(list(test.values())),
        "folds_done": sum(bool(own) for own in by_fold.values()),
        **{f"{error}_fold{fold}": value for fold, value in validation.items()},
        **{f"{score}_fold{fold}": value for fold, value in test.items()},
        "parameters": max((run.result.n_parameters or 0 for run in runs), default=0) or pd.NA,
        "training_seconds": sum(run.result.cost.seconds for run in runs),
        **({"epochs": max((run.result.epochs or 0 for run in runs), default=0) or pd.NA} if planned.searched else {}),
    }


def _mean(values: Sequence[float]) -> float:
    """Mean without NaN values; NaN if there are no others. Infinite where a training of a search diverged."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan
