"""The leaderboard and the comparisons of models, as data frames."""

import itertools

import pandas as pd

from sitenet.evaluation.results import Results
from sitenet.evaluation.standings import Standings
from sitenet.evaluation.tables.columns import LEADERBOARD_OF

MANY = 20  # of more models than these every two are too many to read: 500 models make 124,750 pairs


def leaderboard_table(results: Results) -> pd.DataFrame:
    """One row for each model, best first, with the values of every column of its task in `LEADERBOARD_OF`."""
    rows, columns = range(len(results.standings.rows)), LEADERBOARD_OF[results.task.name]
    return pd.DataFrame([_values(results, i) for i in rows], columns=[name for c in columns for name in c.values])


def _values(results: Results, i: int) -> dict[str, object]:
    return {
        name: value
        for column in LEADERBOARD_OF[results.task.name]
        for name, value in zip(column.values, column.of(results, i), strict=True)
    }


def comparison_table(standings: Standings) -> pd.DataFrame:
    """Every two models on the crystals that both were scored on, the better one first.

    Of more than `MANY` models, the best is compared with each of the others.
    """
    rows, n = [], len(standings.rows)
    for i, j in itertools.combinations(range(n), 2) if n <= MANY else ((0, j) for j in range(1, n)):
        first, second = standings.rows[i], standings.rows[j]
        difference = standings.difference(i, j)
        shared = sorted(set(first.runs) & set(second.runs))
        rows.append(
            {
                "model": first.model,
                "other": second.model,
                "difference": difference.value,
                "difference_low": difference.low,
                "difference_high": difference.high,
                "p_value": standings.p_value(i, j),
                "folds": len(shared),
                "n_test": sum(first.runs[fold][0].test.n_scored for fold in shared),
            }
        )
    columns = ["model", "other", "difference", "difference_low", "difference_high", "p_value", "folds", "n_test"]
    return pd.DataFrame(rows, columns=columns)
