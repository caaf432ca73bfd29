"""Ranking of the models, with the uncertainty of their scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sitenet.errors import UserError
from sitenet.evaluation.runs import LeaderboardRow, PlannedRuns, Run, leaderboard_rows
from sitenet.evaluation.selection import Selection
from sitenet.evaluation.statistics.bootstrap import Bootstrap, Estimate, bootstrap_scores


@dataclass(frozen=True)
class Standings:
    """The rows of the leaderboard in order, with their joint bootstrap.

    Attributes:
        rows: Ranked rows by score, then rows without a rank.
        n_ranked: Number of ranked rows: those scored on every fold that any row was scored on.
        bootstrap: Joint bootstrap, models in the order of `rows`; None if nothing was scored.
        planned: The planned runs.
    """

    rows: list[LeaderboardRow]
    n_ranked: int
    bootstrap: Bootstrap | None
    planned: PlannedRuns

    def score(self, i: int) -> Estimate:
        """Mean over folds of the fold MAE of row i."""
        return self.bootstrap.score(i) if self.bootstrap else Estimate(np.nan, np.nan, np.nan)

    def difference(self, i: int, j: int) -> Estimate:
        """Score of row i minus that of row j on the folds they share."""
        return self.bootstrap.difference(i, j) if self.bootstrap else Estimate(np.nan, np.nan, np.nan)


def compute_standings(
    runs: Sequence[Run],
    selections: Mapping[int, Selection],
    planned: PlannedRuns,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> Standings:
    """Orders the models by the mean over folds of their fold MAE; planned runs may be missing.

    Raises:
        UserError: Two models were scored on different crystals of one fold.
    """
    rows = leaderboard_rows(runs, selections, planned)
    folds = {fold for row in rows for fold in row.runs}
    rows.sort(key=lambda row: (set(row.runs) != folds, not row.runs, _mae(row), row.model))
    n_ranked = sum(set(row.runs) == folds for row in rows) if folds else 0
    errors = {fold: _absolute_errors(rows, fold) for fold in sorted(folds)}
    return Standings(rows, n_ranked, bootstrap_scores(errors, n_resamples, seed) if errors else None, planned)


def _mae(row: LeaderboardRow) -> float:
    return float(np.mean(list(row.fold_scores("mae").values()))) if row.runs else np.inf


def _absolute_errors(rows: Sequence[LeaderboardRow], fold: int) -> NDArray[np.float64]:
    """(C, M) absolute errors on one fold; NaN for rows without a run."""
    columns = {m: row.fold_errors(fold) for m, row in enumerate(rows) if fold in row.runs}
    frame = pd.DataFrame(columns)
    for m in columns:
        if frame[m].isna().any():
            raise UserError(
                f"fold {fold}: {rows[m].model} lacks {frame[m].isna().sum()} of the {len(frame)} crystals "
                "that other runs were scored on; all runs of a fold need the same test crystals"
            )
    return frame.reindex(columns=range(len(rows))).sort_index().to_numpy()
