"""The leaderboard and the comparison of every two models, as data frames."""

import itertools
import json
from collections import Counter

import numpy as np
import pandas as pd

from sitenet.evaluation.runs import Entry
from sitenet.evaluation.standings import Standings
from sitenet.evaluation.statistics import Estimate


def leaderboard_table(standings: Standings) -> pd.DataFrame:
    """One row for each model, best first.

    MAE and RMSE are means over folds, `mae_std` is the sample standard deviation (n - 1) over folds and
    `max_error` the largest of all. `difference` is to the best model, on the folds both have. Counts of
    training crystals are those of the fold with most, counts of test crystals sums over folds. Columns that
    depend on the machine come last.
    """
    return pd.DataFrame([_row(standings, i) for i in range(len(standings.entries))])


def _row(standings: Standings, i: int) -> dict[str, object]:
    entry, plan = standings.entries[i], standings.plan
    score = standings.score(i)
    difference = standings.difference(i, 0) if i else Estimate(np.nan, np.nan, np.nan)
    return {
        "rank": i + 1 if i < standings.n_ranked else pd.NA,
        "model": entry.model,
        "trial": describe_trial(entry),
        "mae": score.value,
        "mae_std": float(np.std(maes, ddof=1)) if len(maes := _fold_values(entry, "mae")) > 1 else np.nan,
        "mae_low": score.low,
        "mae_high": score.high,
        "difference": difference.value,
        "difference_low": difference.low,
        "difference_high": difference.high,
        "rmse": float(np.mean(rmses)) if (rmses := _fold_values(entry, "rmse")) else np.nan,
        "max_error": max(_fold_values(entry, "max_error"), default=np.nan),
        "folds_scored": len(entry.runs),
        "folds_planned": len(plan.folds),
        "runs_scored": len(entry.all_runs),
        "runs_planned": len(plan.folds) * len(plan.seeds),
        **_counts(entry),
        **_costs(entry),
    }


def _fold_values(entry: Entry, metric: str) -> list[float]:
    return list(entry.fold_scores(metric).values())


def _counts(entry: Entry) -> dict[str, object]:
    results, parameters = [run.result for run in entry.all_runs], _parameters(entry)
    return {
        "n_test": sum(runs[0].test.n_scored for runs in entry.runs.values()),
        "n_train": max((result.n_train for result in results if result.n_train is not None), default=pd.NA),
        "n_validation": 0 if entry.is_refitted else max((result.n_validation for result in results), default=0),
        "parameters_min": min(parameters, default=pd.NA),
        "parameters_max": max(parameters, default=pd.NA),
        "chosen": json.dumps(entry.chosen),
    }


def _parameters(entry: Entry) -> list[int]:
    """Of every network, or of all networks of each fold's ensemble together, where they are known."""
    by_fold = [[run.result.n_parameters for run in runs] for runs in entry.runs.values()]
    known = [[n for n in counts if n is not None] for counts in by_fold]
    return [sum(counts) for counts in known] if entry.is_ensemble else [n for counts in known for n in counts]


def _costs(entry: Entry) -> dict[str, object]:
    costs = [run.result.cost for run in entry.all_runs]
    return {
        "training_seconds": sum(cost.seconds for cost in costs),
        "search_seconds": sum(run.result.cost.seconds for run in entry.search),
        "peak_memory_mb": max((cost.peak_memory_mb for cost in costs), default=np.nan),
        "restarts": sum(cost.restarts for cost in costs),
    }


def describe_trial(entry: Entry) -> str:
    """The trial's id, or which trials validation chose and in how many folds; and the time that a run was given."""
    minutes = {run.result.settings.get("training.max_minutes") for run in entry.all_runs}
    limits = " or ".join(f"{limit:g}" for limit in sorted(limit for limit in minutes if limit is not None))
    return _chosen_trials(entry) + (f", within {limits} minutes a run" if limits else "")


def _chosen_trials(entry: Entry) -> str:
    if entry.candidates == 1:
        return next(iter(entry.chosen.values()), "")
    chosen = ", ".join(f"{trial} in {n}" for trial, n in Counter(entry.chosen.values()).most_common())
    return f"best of {entry.candidates} by validation" + (f": {chosen}" if chosen else "")


def comparison_table(standings: Standings) -> pd.DataFrame:
    """Every two models on the crystals that both were scored on; negative differences favour `model`."""
    rows = []
    for i, j in itertools.combinations(range(len(standings.entries)), 2):
        first, second = standings.entries[i], standings.entries[j]
        difference = standings.difference(i, j)
        shared = sorted(set(first.runs) & set(second.runs))
        rows.append(
            {
                "model": first.model,
                "other": second.model,
                "difference": difference.value,
                "difference_low": difference.low,
                "difference_high": difference.high,
                "folds": len(shared),
                "n_test": sum(first.runs[fold][0].test.n_scored for fold in shared),
            }
        )
    columns = ["model", "other", "difference", "difference_low", "difference_high", "folds", "n_test"]
    return pd.DataFrame(rows, columns=columns)
