"""Ranking of the models, with the uncertainty of their scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from sitenet.errors import UserError
from sitenet.evaluation.runs import LeaderboardRow, PlannedRuns, Run, leaderboard_rows
from sitenet.evaluation.selection import Selection
from sitenet.evaluation.statistics.areas import Classified, bootstrap_areas
from sitenet.evaluation.statistics.bootstrap import MIN_GROUPS, Bootstrap, Estimate, Floats, bootstrap_scores
from sitenet.evaluation.statistics.simultaneous import corrected_p_values
from sitenet.tasks import MAE, REGRESSION, ROC_AUC, Task

BEST, TIED, WORSE = "best", "tied with the best", "worse"


class Verdict(NamedTuple):
    """A ranked model against the best one.

    Attributes:
        word: `BEST`, `TIED` or `WORSE`.
        p_value: Of both being equally good, corrected for all comparisons of ranked models; NaN for the best.
    """

    word: str
    p_value: float


@dataclass(frozen=True)
class Standings:
    """The rows of the leaderboard in order, with their joint bootstrap.

    Attributes:
        rows: Ranked rows by score, then rows without a rank.
        n_ranked: Number of ranked rows: those scored on every fold that any row was scored on, and none if the test
            crystals have too few groups.
        bootstrap: Joint bootstrap, models in the order of `rows`; None if nothing was scored.
        planned: The planned runs.
        task: What the models predict, and so by what they are ranked.
    """

    rows: list[LeaderboardRow]
    n_ranked: int
    bootstrap: Bootstrap | None
    planned: PlannedRuns
    task: Task = REGRESSION

    @property
    def is_small(self) -> bool:
        """Whether the scored test crystals have too few groups for intervals, ranks and verdicts."""
        return self.bootstrap is not None and self.bootstrap.n_groups() < MIN_GROUPS

    def is_complete(self, i: int) -> bool:
        """Whether row i was scored on every fold that any row was scored on."""
        return self.bootstrap is not None and not np.isnan(self.bootstrap.observed[:, i]).any()

    def score(self, i: int) -> Estimate:
        """Mean over folds of the score of row i."""
        return self.bootstrap.score(i) if self.bootstrap else Estimate(np.nan, np.nan, np.nan)

    def difference(self, i: int, j: int) -> Estimate:
        """Score of row i minus that of row j on the folds they share."""
        return self.bootstrap.difference(i, j) if self.bootstrap else Estimate(np.nan, np.nan, np.nan)

    def p_value(self, i: int, j: int) -> float:
        """Of rows i and j being equally good, corrected for all comparisons of ranked rows; NaN if one has no rank."""
        return float(self._p_values[i, j]) if max(i, j) < self.n_ranked else np.nan

    def verdict(self, i: int) -> Verdict | None:
        """Row i against the best; None if it has no rank."""
        if i >= self.n_ranked or self.bootstrap is None:
            return None
        if i == 0:
            return Verdict(BEST, np.nan)
        p_value = self.p_value(i, 0)
        return Verdict(WORSE if p_value <= 1 - self.bootstrap.level else TIED, p_value)

    @cached_property
    def _p_values(self) -> Floats:
        assert self.bootstrap is not None, "rows without a score have no rank"
        ranked = slice(self.n_ranked)
        scores = self.bootstrap.observed[:, ranked].mean(axis=0)
        return corrected_p_values(scores, self.bootstrap.replicates[:, :, ranked].mean(axis=1))


def compute_standings(
    runs: Sequence[Run],
    selections: Mapping[int, Selection],
    planned: PlannedRuns,
    groups: Mapping[str, str],
    n_resamples: int = 10_000,
    seed: int = 0,
    task: Task = REGRESSION,
) -> Standings:
    """Orders the models by the mean over folds of their score; planned runs may be missing.

    Args:
        runs: Finished runs.
        selections: Selection of each fold.
        planned: The planned runs.
        groups: Id of each crystal -> its group, which is resampled as one; a crystal without one is its own.
        n_resamples: Number of bootstrap resamples.
        seed: Seed of the bootstrap.
        task: What the models predict.

    Raises:
        UserError: Two models were scored on different crystals of one fold.
    """
    rows = leaderboard_rows(runs, selections, planned)
    folds = {fold for row in rows for fold in row.runs}
    rows.sort(key=lambda row: (set(row.runs) != folds, not row.runs, _loss(row, task), row.model))
    if not folds:
        return Standings(rows, 0, None, planned, task)
    bootstrap = _BOOTSTRAPS[task.score](rows, sorted(folds), groups, n_resamples, seed)
    n_ranked = 0 if bootstrap.n_groups() < MIN_GROUPS else sum(set(row.runs) == folds for row in rows)
    return Standings(rows, n_ranked, bootstrap, planned, task)


def _loss(row: LeaderboardRow, task: Task) -> float:
    """The row's score, or its negative where higher is better."""
    return task.score.loss(float(np.mean(list(row.fold_scores(task.score.key).values())))) if row.runs else np.inf


def _bootstrap_errors(
    rows: Sequence[LeaderboardRow], folds: Sequence[int], groups: Mapping[str, str], n_resamples: int, seed: int
) -> Bootstrap:
    frames = {fold: _errors(rows, fold) for fold in folds}
    errors = {fold: frame.to_numpy() for fold, frame in frames.items()}
    named = {fold: [groups.get(id_) or id_ for id_ in frame.index] for fold, frame in frames.items()}
    return bootstrap_scores(errors, named, n_resamples, seed)


def _bootstrap_areas(
    rows: Sequence[LeaderboardRow], folds: Sequence[int], groups: Mapping[str, str], n_resamples: int, seed: int
) -> Bootstrap:
    classified = {}
    for fold in folds:
        ids = _errors(rows, fold).index
        own = [row.fold_predictions(fold) if fold in row.runs else None for row in rows]
        targets = next(frames for frames in own if frames)[0]["target"].loc[ids].to_numpy()
        stacks = [np.stack([one["prediction"].loc[ids] for one in frames]) if frames else None for frames in own]
        classified[fold] = Classified(targets, stacks, [groups.get(id_) or id_ for id_ in ids])
    return bootstrap_areas(classified, n_resamples, seed)


# How the score of each task is resampled.
_BOOTSTRAPS = {MAE: _bootstrap_errors, ROC_AUC: _bootstrap_areas}


def _errors(rows: Sequence[LeaderboardRow], fold: int) -> pd.DataFrame:
    """(C, M) errors of crystals on one fold by id; NaN for rows without a run."""
    columns = {m: row.fold_errors(fold) for m, row in enumerate(rows) if fold in row.runs}
    frame = pd.DataFrame(columns)
    for m in columns:
        if frame[m].isna().any():
            raise UserError(
                f"fold {fold}: {rows[m].model} lacks {frame[m].isna().sum()} of the {len(frame)} crystals "
                "that other runs were scored on; all runs of a fold need the same test crystals"
            )
    return frame.reindex(columns=range(len(rows))).sort_index()
