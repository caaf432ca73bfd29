"""Distribution shift: how much worse models predict the same crystals than in another benchmark of the same data.

Where the other benchmark has random folds, this says what a model loses where nothing similar was in training. Both
errors are of the same crystals, so that held-out crystals which are hard anyway make no difference.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml

from sitenet.evaluation.other import PREDICTIONS, RECORD
from sitenet.evaluation.results import Results
from sitenet.evaluation.runs import LeaderboardRow
from sitenet.evaluation.statistics.bootstrap import bootstrap_scores

COLUMNS = ("model", "mae", "other", "other_mae", "difference", "difference_low", "difference_high", "folds", "n_test")


@dataclass(frozen=True)
class OtherBenchmark:
    """A finished benchmark that is compared with.

    Attributes:
        name: Its name.
        splits: Its kind of splits.
        trials: Ids of its trials.
        errors: Absolute error of each labelled test crystal by id, averaged over runs, by model.
    """

    name: str
    splits: str
    trials: frozenset[str]
    errors: Mapping[str, pd.Series]

    @classmethod
    def read(cls, tables: Path) -> "OtherBenchmark":
        """Reads the tables of a benchmark from their folder, which `check_other` has found to be there."""
        config = yaml.safe_load((tables / RECORD).read_text("utf-8"))
        frame = pd.read_csv(
            tables / PREDICTIONS,
            usecols=["id", "model", "error"],
            dtype={"id": str, "model": str, "error": float},
            keep_default_na=False,  # "NA" may be an id
            na_values={"error": [""]},
        ).dropna(subset="error")
        errors = {str(model): own.groupby("id")["error"].agg(_mean_absolute) for model, own in frame.groupby("model")}
        return cls(config["name"], config["splits"]["kind"], frozenset(config["trials"]), errors)


def _mean_absolute(errors: pd.Series) -> float:
    return float(errors.abs().mean())


def shift_table(results: Results, other: OtherBenchmark) -> pd.DataFrame:
    """One row for each model that both benchmarks have, in the order of the leaderboard.

    A model is in both if it has the same name and its trials are there, too. Ensembles are left out, since
    `predictions.csv.gz` lists single runs. Errors are in the unit of the target: `mae` and `other_mae` are means over
    the folds of this benchmark, of the `n_test` crystals that both have tested. `difference` is `mae` minus
    `other_mae`, with the 95 % interval of a bootstrap over groups.
    """
    rows = []
    for row in results.standings.rows:
        if row.model in other.errors and set(row.chosen.values()) <= other.trials:
            pairs = _pairs(row, other.errors[row.model])
            rows += [_row(row.model, other.name, pairs, results)] if pairs else []
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _pairs(row: LeaderboardRow, other: pd.Series) -> dict[int, pd.DataFrame]:
    """For each fold the (C, 2) absolute errors of the crystals that both benchmarks have tested, this one first."""
    pairs = {fold: pd.concat([row.fold_errors(fold), other], axis=1, join="inner").sort_index() for fold in row.runs}
    return {fold: frame for fold, frame in pairs.items() if len(frame)}


def _row(model: str, other: str, pairs: Mapping[int, pd.DataFrame], results: Results) -> tuple[object, ...]:
    assert results.standings.bootstrap is not None, "a model with scored runs has one"
    bootstrap = bootstrap_scores(
        {fold: frame.to_numpy() for fold, frame in pairs.items()},
        {fold: [results.groups.get(id_) or id_ for id_ in frame.index] for fold, frame in pairs.items()},
        len(results.standings.bootstrap.replicates),
    )
    mae, other_mae = (bootstrap.score(place).value for place in (0, 1))
    n_test = sum(map(len, pairs.values()))
    return model, mae, other, other_mae, *bootstrap.difference(0, 1), len(pairs), n_test
