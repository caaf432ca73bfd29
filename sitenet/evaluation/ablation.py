"""Ablation: compares every trial of a network with a reference, the first trial of its kind and size in the grid."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from sitenet.config.trial import short
from sitenet.errors import UserError
from sitenet.evaluation.runs import PlannedRuns, Run
from sitenet.evaluation.statistics.bootstrap import Estimate
from sitenet.evaluation.statistics.paired import paired_difference
from sitenet.models.registry import is_network
from sitenet.tasks import REGRESSION, Task

Place = tuple[int, int]  # fold, seed
Settings = Mapping[str, Any]  # by dotted name
SIZE = "training.max_crystals"
SUPERCELL = ("features.max_sites", "features.supercell")
NOTHING = Estimate(np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class Change:
    """A trial compared with its reference; the reference itself has one, too.

    Errors are means over crystals (of a regression the MAE, in the unit of the target), and NaN without a run.
    Differences are the trial's value minus the reference's, over pairs of runs on the same fold with the same seed.

    Attributes:
        kind: Model kind.
        trial: Id of the trial.
        reference: Id of the reference.
        among: What trial and reference share beside their kind, as "1,000 training crystals".
        settings: The settings that differ, each with its value in the reference and in the trial.
        test_error: Mean over folds of the test error averaged over seeds, of all scored runs.
        difference: Difference in test error, with its interval over seeds and test crystals.
        by_run: Difference in test error of every pair of runs.
        n_test: Number of test crystals in `difference`, summed over folds.
        validation_difference: Difference in the error that chooses trials.
        time_ratio: Training time divided by that of the reference.
    """

    kind: str
    trial: str
    reference: str
    among: str
    settings: dict[str, tuple[Any, Any]]
    test_error: float
    difference: Estimate = NOTHING
    by_run: Mapping[Place, float] = field(default_factory=dict)
    n_test: int = 0
    validation_difference: float = np.nan
    time_ratio: float = np.nan

    @property
    def is_reference(self) -> bool:
        """Whether this is the trial that the others are compared with."""
        return self.trial == self.reference


def compare_trials(runs: Sequence[Run], planned: PlannedRuns, groups: Mapping[str, str] | None = None) -> list[Change]:
    """For every network kind with several trials: the reference, then the other trials sorted by difference.

    Where trials learn from different numbers of crystals, and some from the same number, each number has its own
    reference: what a change does depends on it. Baselines are left out, because each of their trials has a row in the
    leaderboard. Planned runs may be missing; trials without a difference come last.

    Args:
        runs: Finished runs.
        planned: The planned runs.
        groups: Id of each crystal -> its group; without one a crystal is its own.

    Raises:
        UserError: Two runs of one fold were scored on different crystals.
    """
    by_trial: dict[str, dict[Place, Run]] = {trial: {} for trial in planned.trials}
    for run in runs:
        key = run.result.key
        if key.trial in by_trial and key.fold in planned.folds and key.seed in planned.seeds:
            by_trial[key.trial][key.fold, key.seed] = run
    changes = []
    for kind, trials in planned.trials_by_kind().items():
        if is_network(kind) and len(trials) > 1:
            for size, own in _comparable(trials).items():
                changes += _compare(kind, _among(size, own, by_trial), own, by_trial, groups or {})
    return changes


def _comparable(trials: Mapping[str, Settings]) -> dict[int | None, dict[str, Settings]]:
    """Trials by the limit on the number of training crystals; all of them, by 0, where every trial has another one."""
    sizes: dict[int | None, dict[str, Settings]] = {}
    for trial, settings in trials.items():
        sizes.setdefault(settings[SIZE], {})[trial] = settings
    return sizes if 1 < len(sizes) < len(trials) else {0: dict(trials)}


def _among(size: int | None, trials: Mapping[str, Settings], runs: Mapping[str, Mapping[Place, Run]]) -> str:
    """What trials share that are limited to `size` crystals; there may be fewer."""
    if size == 0:
        return ""
    used = max((run.result.n_train or 0 for trial in trials for run in runs[trial].values()), default=0)
    if size is None or 0 < used < size:
        return "all training crystals"
    return f"{size:,} training crystals"


def _compare(
    kind: str,
    among: str,
    trials: Mapping[str, Settings],
    runs: Mapping[str, dict[Place, Run]],
    groups: Mapping[str, str],
) -> list[Change]:
    first, *others = trials
    errors = {place: run.crystal_errors() for place, run in runs[first].items() if run.is_scored}
    changes = []
    for trial in others:
        own = runs[trial]
        differences = _differences(own, errors)
        folds = _by_fold(differences)
        change = Change(
            kind=kind,
            trial=trial,
            reference=first,
            among=among,
            settings=_changed(trials[trial], trials[first]),
            test_error=_test_error(own),
            difference=paired_difference(
                {fold: frame.to_numpy().T for fold, frame in folds.items()},
                {fold: [groups.get(id_) or id_ for id_ in frame.index] for fold, frame in folds.items()},
            ),
            by_run={place: float(difference.mean()) for place, difference in differences.items()},
            n_test=sum(len(frame) for frame in folds.values()),
            validation_difference=_validation_difference(own, runs[first]),
            time_ratio=_time_ratio(own, runs[first]),
        )
        changes.append(change)
    changes.sort(key=lambda change: (np.nan_to_num(change.difference.value, nan=np.inf), change.trial))
    return [Change(kind, first, first, among, {}, _test_error(runs[first])), *changes]


def _changed(settings: Settings, reference: Settings) -> dict[str, tuple[Any, Any]]:
    """Settings that differ; with a radius there is no supercell, so the settings of the supercell are ignored."""
    unused = SUPERCELL if settings["features.radius"] is not None else ()
    different = [name for name, value in settings.items() if value != reference[name] and name not in unused]
    return {name: (reference[name], settings[name]) for name in different}


def _differences(runs: Mapping[Place, Run], reference: Mapping[Place, pd.Series]) -> dict[Place, pd.Series]:
    """Differences of the errors by crystal, for each fold and seed with scored runs of both."""
    both = [place for place in sorted(reference) if place in runs and runs[place].is_scored]
    return {place: runs[place].crystal_errors() - reference[place] for place in both}


def _by_fold(differences: Mapping[Place, pd.Series]) -> dict[int, pd.DataFrame]:
    """(C, S) differences by id for each fold."""
    folds = {}
    for fold in {fold for fold, _ in differences}:
        frame = pd.concat([own for (k, _), own in differences.items() if k == fold], axis=1)
        unpaired = int(frame.isna().any(axis=1).sum())
        if unpaired:
            raise UserError(
                f"fold {fold}: {unpaired} of {len(frame)} crystals were not scored in every run; all runs of a fold "
                "need the same test crystals"
            )
        folds[fold] = frame
    return folds


def _test_error(runs: Mapping[Place, Run]) -> float:
    scored = {place: run for place, run in runs.items() if run.is_scored}
    return _mean_over_folds({place: run.metrics()[run.task.crystal_error.key] for place, run in scored.items()})


def _validation_difference(runs: Mapping[Place, Run], reference: Mapping[Place, Run]) -> float:
    both = sorted(runs.keys() & reference.keys())
    return _mean_over_folds(
        {place: runs[place].result.validation_error - reference[place].result.validation_error for place in both}
    )


def _time_ratio(runs: Mapping[Place, Run], reference: Mapping[Place, Run]) -> float:
    both = sorted(runs.keys() & reference.keys())
    seconds = sum(runs[place].result.cost.seconds for place in both)
    reference_seconds = sum(reference[place].result.cost.seconds for place in both)
    return seconds / reference_seconds if reference_seconds else np.nan


def _mean_over_folds(values: Mapping[Place, float]) -> float:
    """Mean over folds of the mean over seeds; NaN without values."""
    return float(pd.Series(values, dtype=float).groupby(level=0).mean().mean())


def ablation_table(changes: Sequence[Change], planned: PlannedRuns, task: Task = REGRESSION) -> pd.DataFrame:
    """One row per trial, in the order given; errors in the unit of the target.

    `among` names the trials that share a reference, where a kind has several. `changes` lists the settings that
    differ, with their values in the reference and in the trial. `difference` is over `runs_paired` pairs of runs with
    the same fold and seed; `seeds` is the largest number of pairs on one fold. With 1, the interval does not include
    the variation between trainings. These cells are empty for the reference.
    """
    rows = [_row(change, task) | {"runs_planned": len(planned.folds) * len(planned.seeds)} for change in changes]
    return pd.DataFrame(rows)


def _row(change: Change, task: Task) -> dict[str, object]:
    changed = [f"{short(name)}: {plain(old)} -> {plain(new)}" for name, (old, new) in change.settings.items()]
    folds = [fold for fold, _ in change.by_run]
    paired = {
        "n_test": change.n_test,
        "seeds": max(map(folds.count, folds), default=0),
        "runs_paired": len(folds),
    }
    return {
        "kind": change.kind,
        "trial": change.trial,
        "reference": change.reference,
        "among": change.among,
        "changes": "; ".join(changed),
        f"test_{task.crystal_error.key}": change.test_error,
        "difference": change.difference.value,
        "difference_low": change.difference.low,
        "difference_high": change.difference.high,
        "validation_difference": change.validation_difference,
        "time_ratio": change.time_ratio,
        **(dict.fromkeys(paired, pd.NA) if change.trial == change.reference else paired),
    }


def plain(value: object) -> str:
    """A setting's value as written in a configuration."""
    return value if isinstance(value, str) else json.dumps(value)
