"""Distribution shift: how much worse models predict the same crystals than in another benchmark of the same data.

Where the other benchmark has random folds, this says what a model loses where nothing similar was in training. Both
errors are of the same crystals, so that held-out crystals which are hard anyway make no difference.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from sitenet.evaluation.other import OtherBenchmark
from sitenet.evaluation.results import Results
from sitenet.evaluation.runs import LeaderboardRow
from sitenet.evaluation.statistics.bootstrap import Bootstrap, Estimate, bootstrap_scores

COLUMNS = ("model", "mae", "other", "other_mae", "difference", "difference_low", "difference_high", "folds", "n_test")
# Kinds of splits in words.
SPLITS = {
    "kfold": "random folds",
    "grouped_kfold": "formulas held out",
    "chemical_system": "chemical systems held out",
    "element": "elements held out",
    "cluster": "clusters held out",
    "holdout": "random test part",
    "official": "official folds",
    "ids": "given folds",
}


@dataclass(frozen=True)
class Shift:
    """Errors of one model in both benchmarks, of the crystals that both have tested, in the unit of the target.

    Attributes:
        model: Its name.
        place: Its row in the leaderboard.
        n_test: Number of these crystals in each fold of this benchmark that has some.
        bootstrap: Errors in these folds: here, and in the other benchmark.
    """

    model: str
    place: int
    n_test: Mapping[int, int]
    bootstrap: Bootstrap

    @property
    def mae(self) -> float:
        """Error here, the mean over folds."""
        return self.bootstrap.score(0).value

    @property
    def other_mae(self) -> float:
        """Error in the other benchmark, the mean over the folds of this one."""
        return self.bootstrap.score(1).value

    @property
    def difference(self) -> Estimate:
        """Error here minus error there, with the 95 % interval of a bootstrap over groups."""
        return self.bootstrap.difference(0, 1)

    def by_fold(self) -> dict[int, "Shift"]:
        """The same of each fold alone."""
        folds = enumerate(self.n_test.items())
        return {fold: Shift(self.model, self.place, {fold: n}, self.bootstrap.of_fold(i)) for i, (fold, n) in folds}


def shifts(results: Results) -> list[Shift]:
    """The models that this benchmark and `results.other` have, in the order of the leaderboard.

    A model is in both if it has the same name and its trials are there, too. Ensembles are left out, since
    `predictions.csv.gz` lists single runs.
    """
    if results.other is None:
        return []
    found = (_shift(place, row, results.other, results) for place, row in enumerate(results.standings.rows))
    return [shift for shift in found if shift]


def _shift(place: int, row: LeaderboardRow, other: OtherBenchmark, results: Results) -> Shift | None:
    if row.model not in other.errors or not set(row.chosen.values()) <= other.trials:
        return None
    pairs = {fold: frame for fold in sorted(row.runs) if len(frame := _pairs(row, fold, other.errors[row.model]))}
    if not pairs:
        return None
    assert results.standings.bootstrap is not None, "a model with scored runs has one"
    bootstrap = bootstrap_scores(
        {fold: frame.to_numpy() for fold, frame in pairs.items()},
        {fold: [results.groups.get(id_) or id_ for id_ in frame.index] for fold, frame in pairs.items()},
        len(results.standings.bootstrap.replicates),
    )
    return Shift(row.model, place, {fold: len(frame) for fold, frame in pairs.items()}, bootstrap)


def _pairs(row: LeaderboardRow, fold: int, other: "pd.Series[float]") -> pd.DataFrame:
    """(C, 2) absolute errors of the crystals of a fold that both benchmarks have tested, this one first."""
    return pd.concat([row.fold_errors(fold), other], axis=1, join="inner").sort_index()


def shift_table(results: Results) -> pd.DataFrame:
    """One row for each of `shifts`: errors here and in `other`, and their difference with its 95 % interval."""
    other = results.other.name if results.other else ""
    rows = [
        (s.model, s.mae, other, s.other_mae, *s.difference, len(s.n_test), sum(s.n_test.values()))
        for s in shifts(results)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


class Sides(NamedTuple):
    """What the two benchmarks are called in charts."""

    here: str
    there: str


def sides(results: Results) -> Sides:
    """Their kinds of splits in words, or their names where these are the same."""
    if results.other is None:
        return Sides(results.benchmark, "")
    here, there = (SPLITS.get(kind, kind) for kind in (results.splits.kind, results.other.splits))
    return Sides(here, there) if here != there else Sides(results.benchmark, results.other.name)
