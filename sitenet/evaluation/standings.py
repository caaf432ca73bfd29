"""Order of the models and the uncertainty of their scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sitenet.errors import UserError
from sitenet.evaluation.runs import Entry, Plan, Run, collect_entries
from sitenet.evaluation.selection import Selection
from sitenet.evaluation.statistics import Bootstrap, Estimate, bootstrap_scores


@dataclass(frozen=True)
class Standings:
    """Entries in the order of the leaderboard, with their joint bootstrap.

    Attributes:
        entries: Ranked entries by score, then entries without a rank.
        n_ranked: Number of ranked entries: those scored on every fold that any entry was scored on.
        bootstrap: Joint bootstrap, models in the order of `entries`; None where nothing was scored.
        plan: The planned benchmark.
    """

    entries: list[Entry]
    n_ranked: int
    bootstrap: Bootstrap | None
    plan: Plan

    def score(self, i: int) -> Estimate:
        """Mean over folds of the fold MAE of entry i."""
        return self.bootstrap.score(i) if self.bootstrap else Estimate(np.nan, np.nan, np.nan)

    def difference(self, i: int, j: int) -> Estimate:
        """Score of entry i minus that of entry j on the folds they share."""
        return self.bootstrap.difference(i, j) if self.bootstrap else Estimate(np.nan, np.nan, np.nan)


def compute_standings(
    runs: Sequence[Run],
    selections: Mapping[int, Selection],
    plan: Plan,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> Standings:
    """Orders the models by the mean over folds of their fold MAE; any part of the planned runs will do.

    Raises:
        UserError: Two models were scored on different crystals of one fold.
    """
    entries = collect_entries(runs, selections, plan)
    folds = {fold for entry in entries for fold in entry.runs}
    entries.sort(key=lambda entry: (set(entry.runs) != folds, not entry.runs, _mae(entry), entry.model))
    n_ranked = sum(set(entry.runs) == folds for entry in entries) if folds else 0
    errors = {fold: _absolute_errors(entries, fold) for fold in sorted(folds)}
    return Standings(entries, n_ranked, bootstrap_scores(errors, n_resamples, seed) if errors else None, plan)


def _mae(entry: Entry) -> float:
    return float(np.mean(list(entry.fold_scores("mae").values()))) if entry.runs else np.inf


def _absolute_errors(entries: Sequence[Entry], fold: int) -> NDArray[np.float64]:
    """(C, M) absolute errors on one fold; NaN for entries without a run."""
    columns = {m: entry.fold_errors(fold) for m, entry in enumerate(entries) if fold in entry.runs}
    frame = pd.DataFrame(columns)
    for m in columns:
        if frame[m].isna().any():
            raise UserError(
                f"fold {fold}: {entries[m].model} lacks {frame[m].isna().sum()} of the {len(frame)} crystals "
                "that other runs were scored on; all runs of a fold need the same test crystals"
            )
    return frame.reindex(columns=range(len(entries))).sort_index().to_numpy()


def read_standings(
    config: Mapping[str, Any], results: Sequence[Path | str], selections: Sequence[Path | str]
) -> tuple[Standings, list[Run]]:
    """Standings and finished runs of a benchmark.

    Args:
        config: The resolved configuration.
        results: `result.json` of the finished runs.
        selections: `selection.json` of each planned fold, in the order of the configuration.
    """
    plan = Plan(config["trials"], config["folds"], config["seeds"])
    runs = [Run.read(path) for path in results]
    chosen = {fold: Selection.read(path) for fold, path in zip(plan.folds, selections, strict=True)}
    return compute_standings(runs, chosen, plan, config["resamples"]), runs
