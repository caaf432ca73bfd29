"""The leaderboard of the page: the cells of `LEADERBOARD_OF`, with what to sort them by and what a row is."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from sitenet.evaluation.page.training import seconds
from sitenet.evaluation.results import Results
from sitenet.evaluation.standings import TIED, WORSE
from sitenet.evaluation.statistics.bootstrap import MIN_GROUPS
from sitenet.evaluation.tables.columns import LEADERBOARD_OF, Column
from sitenet.evaluation.tables.formats import column
from sitenet.evaluation.tables.leaderboard import leaderboard_table
from sitenet.evaluation.tables.rounding import duration, measured, places


@dataclass(frozen=True)
class Head:
    """Heading of a column.

    Attributes:
        label: Its text.
        meaning: What it means.
        first: Whether the column is shown at once on narrow screens.
        brief: Whether the column is shown at once on others.
        is_model: Whether cells name the model.
        number: Whether cells are numbers.
    """

    label: str
    meaning: str
    first: bool
    brief: bool
    is_model: bool
    number: bool


@dataclass(frozen=True)
class Row:
    """One model.

    Attributes:
        cells: Text of each cell and the value to sort it by.
        verdict: "best", "tied", "worse", or "" without a rank.
        trained_here: Whether the benchmark trained it.
    """

    cells: list[tuple[str, Any]]
    verdict: str
    trained_here: bool


def heads(results: Results) -> list[Head]:
    """The headings."""
    key = results.task.score.key
    # Columns shown at once, by their first name, on narrow screens and on others; the rest is one click away.
    first = ("model", key, f"{key}_low")
    brief = ("rank", *first, "difference", "training_seconds")
    return [
        Head(
            c.label.format(unit=results.unit),
            "; ".join(c.values.values()),
            next(iter(c.values)) in first,
            next(iter(c.values)) in brief,
            "model" in c.values,
            next(iter(c.values)) not in ("model", "trial"),
        )
        for c in _shown(results)
    ]


def rows(results: Results) -> list[Row]:
    """The rows in their order."""
    table = leaderboard_table(results)
    digits = max(0, places(*results.standings.score(0))) if results.standings.bootstrap else 3
    columns = [
        list(zip(column(table, c.form(digits), *c.values), _order(table, c), strict=True)) for c in _shown(results)
    ]
    return [
        Row(list(cells), _word(results, i).partition(" ")[0], results.standings.rows[i].is_trained_here)
        for i, cells in enumerate(zip(*columns, strict=True))
    ]


def _word(results: Results, i: int) -> str:
    """The verdict on row i; empty without a rank."""
    verdict = results.standings.verdict(i)
    return verdict.word if verdict else ""


def _shown(results: Results) -> list[Column]:
    return [c for c in LEADERBOARD_OF[results.task.name] if c.label]


def _order(table: pd.DataFrame, c: Column) -> list[Any]:
    """What a column is sorted by: its first value; a missing one comes last."""
    values = table[next(iter(c.values))]
    return [1e300 if pd.isna(value) else value for value in values]


def answers(results: Results) -> dict[str, str]:
    """The short answers: which model is best, by how much, and what it cost."""
    standings, unit, kind = results.standings, results.unit, results.task.score
    if standings.bootstrap is None:
        return {"best": "No model has a test score yet.", "cost": "Nothing was scored yet."}
    best, score = standings.rows[0], standings.score(0)
    if standings.is_small:
        few = f"The test crystals have fewer than {MIN_GROUPS} formulas or groups: too few to say which model is best."
        leads = f"The {kind.best} test {kind.label} is that of {best.model}, {kind.amount(measured(*score), unit)}."
        return {"best": f"{few} {leads}", "cost": _cost(results, [])}
    words = {i: _word(results, i) for i in range(1, standings.n_ranked)}
    tied = [standings.rows[i].model for i, word in words.items() if word == TIED]
    worse = next((i for i, word in words.items() if word == WORSE), None)
    text = f"{best.model} has the {kind.best} test {kind.label}: {kind.amount(measured(*score), unit)}."
    if tied:
        text += f" Tied with it: {'; '.join(tied)}. The test crystals do not tell which of them is better."
    elif words:
        text += " No other model is tied with it."
    if worse is not None:
        by = kind.amount(measured(*standings.difference(worse, 0), sign="+"), unit)
        text += f" The first model that is worse beyond noise: {standings.rows[worse].model}, by {by}."
    return {"best": text, "cost": _cost(results, tied)}


def _cost(results: Results, tied: list[str]) -> str:
    best = results.standings.rows[0]
    if not best.is_trained_here:
        return f"{best.model} was not trained here: its training time is not known."
    text = f"{best.model} was trained for {duration(seconds(best, 'training'))} in all runs together"
    searched = seconds(best, "search")
    text += f"; {duration(searched)} with all candidates." if best.candidates > 1 else "."
    own = [row for row in results.standings.rows if row.model in tied and row.is_trained_here]
    cheaper = [row for row in own if seconds(row, "search") < searched]
    if cheaper:
        cheapest = min(cheaper, key=lambda row: seconds(row, "search"))
        text += f" {cheapest.model}, tied with it, took {duration(seconds(cheapest, 'search'))}."
    return text
