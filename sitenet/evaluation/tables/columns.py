"""The columns of the leaderboard, one list a task for CSV, Markdown, Weights & Biases and the documentation."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Json

from sitenet.evaluation.results import Results
from sitenet.evaluation.runs import LeaderboardRow
from sitenet.evaluation.statistics.bootstrap import Estimate
from sitenet.evaluation.statistics.metrics import METRICS_OF, Metric
from sitenet.evaluation.statistics.spread import over_folds, over_seeds
from sitenet.evaluation.tables.formats import (
    Format,
    difference,
    fixed,
    integer,
    interval,
    out_of,
    span,
    text,
    training_crystals,
)
from sitenet.settings.descriptors import DESCRIPTORS
from sitenet.tasks import TASKS, Score, Task, TaskName


@dataclass(frozen=True)
class Column:
    """One column in Markdown, made of one or more columns in the CSV file.

    Attributes:
        values: Names in the CSV file, each with its meaning.
        of: Function of the results and a row's index in the standings that gives the values, in the same order.
        label: Heading in Markdown, in which "{unit}" stands for the unit of the target; empty for CSV only.
        form: Function of a number of decimals that gives the format in Markdown.
        kind: Type of the values in JSON, where missing ones are null.
    """

    values: dict[str, str]
    of: Callable[[Results, int], tuple[Any, ...]]
    label: str = ""
    form: Callable[[int], Format] = lambda digits: text
    kind: Any = float


def _row(results: Results, i: int) -> LeaderboardRow:
    return results.standings.rows[i]


def _rank(results: Results, i: int) -> tuple[Any, ...]:
    return (i + 1 if i < results.standings.n_ranked else pd.NA,)


def _rank_alike(results: Results, i: int) -> tuple[Any, ...]:
    pretrained = [bool(row.descriptors) for row in results.standings.rows[: results.standings.n_ranked]]
    return (pretrained[: i + 1].count(pretrained[i]) if i < len(pretrained) else pd.NA,)


def _spread(results: Results, i: int) -> tuple[Any, ...]:
    row = _row(results, i)
    key, by_fold = results.task.score.key, {} if row.is_ensemble else row.runs
    seeds = {fold: [run.metrics()[key] for run in runs] for fold, runs in by_fold.items()}
    return over_folds(row.fold_scores(key).values()), over_seeds(seeds)


def _difference(results: Results, i: int) -> tuple[Any, ...]:
    return results.standings.difference(i, 0) if i else Estimate(np.nan, np.nan, np.nan)


def _verdict(results: Results, i: int) -> tuple[Any, ...]:
    verdict = results.standings.verdict(i)
    return verdict or (pd.NA, np.nan)


def _metric(metric: Metric) -> Column:
    def of(results: Results, i: int) -> tuple[Any, ...]:
        scores = list(_row(results, i).fold_scores(metric.key).values())
        return (metric.joined(scores) if scores else np.nan,)

    better = f"; {metric.better} is better" if metric.better else ""
    meaning = f"{metric.label} of the test crystals, {metric.over_folds} over folds{better}"
    return Column({metric.key: meaning}, of, metric.header("{unit}"), fixed if metric.has_unit else lambda _: fixed(3))


def _training_crystals(results: Results, i: int) -> tuple[Any, ...]:
    row, folds = _row(results, i), results.splits.folds
    runs = [run.result for run in row.all_runs]
    fitted = max((result.n_train for result in runs if result.n_train is not None), default=pd.NA)
    validation = 0 if row.is_refitted else max((result.n_validation for result in runs), default=0)
    return fitted, validation, max(folds[fold].full_train for fold in results.planned.folds)


def _parameters(results: Results, i: int) -> tuple[Any, ...]:
    """Smallest and largest known number of parameters; that of an ensemble is the sum over its networks."""
    row = _row(results, i)
    by_fold = [[run.result.n_parameters for run in runs] for runs in row.runs.values()]
    known = [[n for n in counts if n is not None] for counts in by_fold]
    counts = [sum(counts) for counts in known] if row.is_ensemble else [n for counts in known for n in counts]
    return min(counts, default=pd.NA), max(counts, default=pd.NA)


def describe_trial(row: LeaderboardRow) -> str:
    """Id of the trial, or the selected trials with their numbers of folds; and the time limit of a run, if any."""
    training = [run.result.settings.get("training", {}) for run in row.all_runs]
    minutes = {settings.get("max_minutes") for settings in training}
    limits = " or ".join(f"{limit:g}" for limit in sorted(limit for limit in minutes if limit is not None))
    return _chosen_trials(row) + (f", within {limits} minutes a run" if limits else "")


def _chosen_trials(row: LeaderboardRow) -> str:
    if row.candidates == 1:
        return next(iter(row.chosen.values()), "")
    chosen = ", ".join(f"{trial} in {n}" for trial, n in Counter(row.chosen.values()).most_common())
    return f"best of {row.compared} by validation" + (f": {chosen}" if chosen else "")


_FIRST = (
    Column(
        {"rank": "rank; empty unless the model was scored on every fold that any model was scored on"},
        _rank,
        "rank",
        lambda _: integer,
        kind=int,
    ),
    Column(
        {"model": "model kind, with the settings that distinguish its rows"},
        lambda r, i: (_row(r, i).model,),
        "model",
        kind=str,
    ),
    Column(
        {"trained_here": "whether the benchmark trained the model; if not, its predictions were read from a file"},
        lambda r, i: (_row(r, i).is_trained_here,),
        kind=bool,
    ),
    Column(
        {"pretrained": "pretrained network whose features the model reads; empty from scratch"},
        lambda r, i: (", ".join(DESCRIPTORS[name].title for name in _row(r, i).descriptors),),
        kind=str,
    ),
    Column(
        {"rank_alike": "rank among the models from scratch, or among those that read a pretrained network"},
        _rank_alike,
        kind=int,
    ),
    Column(
        {"trial": "id of the trial, or the selected trials with their numbers of folds"},
        lambda r, i: (describe_trial(_row(r, i)),),
        "trial",
        kind=str,
    ),
)

_LATER = (
    Column(
        {"folds_scored": "number of folds with scored runs", "folds_planned": "number of planned folds"},
        lambda r, i: (len(_row(r, i).runs), len(r.planned.folds)),
        "folds",
        lambda _: out_of,
        kind=int,
    ),
    Column(
        {"runs_scored": "number of scored runs, one per fold and seed", "runs_planned": "number of planned runs"},
        lambda r, i: (len(_row(r, i).all_runs), len(r.planned.folds) * len(r.planned.seeds)),
        "runs",
        lambda _: out_of,
        kind=int,
    ),
    Column(
        {"n_test": "number of labelled test crystals, summed over folds"},
        lambda r, i: (sum(runs[0].test.n_scored for runs in _row(r, i).runs.values()),),
        "test crystals",
        lambda _: integer,
        kind=int,
    ),
    Column(
        {
            "n_train": "number of crystals trained on, in the fold with most",
            "n_validation": "number of crystals that selected epoch and trial; 0 after a final fit that includes them",
            "n_train_full": "number of crystals of the whole training part",
        },
        _training_crystals,
        "training + validation crystals",
        lambda _: training_crystals,
        kind=int,
    ),
    Column(
        {
            "parameters_min": "number of parameters of the smallest network; for an ensemble, summed over its networks",
            "parameters_max": "number of parameters of the largest network",
        },
        _parameters,
        "parameters",
        lambda _: span,
        kind=int,
    ),
    Column(
        {"chosen": "selected trial of each fold, as JSON"},
        lambda r, i: (json.dumps(_row(r, i).chosen),),
        kind=Json[dict[int, str]],
    ),
    Column(
        {"training_seconds": "training time in seconds, summed over scored runs"},
        lambda r, i: (pd.Series([run.result.cost.seconds for run in _row(r, i).all_runs]).sum(min_count=1),),
        "training (s)",
        lambda _: fixed(0),
    ),
    Column(
        {"search_seconds": "training time in seconds, summed over the runs of all candidate trials"},
        lambda r, i: (pd.Series([run.result.cost.seconds for run in _row(r, i).search]).sum(min_count=1),),
        "with search (s)",
        lambda _: fixed(0),
    ),
    Column(
        {"peak_memory_mb": "highest resident memory of a run in MB (2^20 bytes)"},
        lambda r, i: (max((run.result.cost.peak_memory_mb for run in _row(r, i).all_runs), default=np.nan),),
        "peak memory (MB)",
        lambda _: fixed(0),
    ),
    Column(
        {"restarts": "number of times that a training resumed from a checkpoint"},
        lambda r, i: (sum(run.result.cost.restarts for run in _row(r, i).all_runs),),
        kind=int,
    ),
)


def _of_scores(task: Task) -> tuple[Column, ...]:
    """The columns that the task decides: the score that ranks, with its uncertainty, and the other metrics."""
    score, metrics = task.score, METRICS_OF[task.name]
    return (
        _metric(metrics[0]),
        Column(
            {f"{score.key}_std": f"sample standard deviation (n - 1) of the {score.label} over folds"},
            lambda r, i: _spread(r, i)[:1],
            "std over folds",
            fixed,
        ),
        Column(
            {
                f"{score.key}_std_seeds": f"sample standard deviation of the {score.label} over the seeds of a fold, "
                "pooled over folds"
            },
            lambda r, i: _spread(r, i)[1:],
            "std over seeds",
            fixed,
        ),
        Column(
            {
                f"{score.key}_low": f"lower end of the 95 % interval of the {score.label}",
                f"{score.key}_high": "upper end of the same interval",
            },
            lambda r, i: r.standings.score(i)[1:],
            "95 % interval",
            interval,
        ),
        *_compared(score),
        *map(_metric, metrics[1:]),
    )


def _compared(score: Score) -> tuple[Column, ...]:
    """The columns that compare a model with the best one."""
    return (
        Column(
            {
                "difference": f"{score.label} minus that of the best model, on the folds that both have",
                "difference_low": "lower end of the 95 % interval of the difference",
                "difference_high": "upper end of the same interval",
            },
            _difference,
            "difference to best",
            difference,
        ),
        Column(
            {"verdict": "`best`, `tied with the best` or `worse` than it; empty without a rank"},
            lambda r, i: _verdict(r, i)[:1],
            "verdict",
            kind=str,
        ),
        Column(
            {
                "p_value": "p-value of the model and the best being equally good, corrected for all pairs of ranked "
                "models"
            },
            lambda r, i: _verdict(r, i)[1:],
        ),
    )


# The columns of the leaderboard of each task.
LEADERBOARD_OF: dict[TaskName, tuple[Column, ...]] = {
    name: (*_FIRST, *_of_scores(task), *_LATER) for name, task in TASKS.items()
}
