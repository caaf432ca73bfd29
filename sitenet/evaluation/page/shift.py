"""What models lose against another benchmark of the same data, with random folds for example."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from sitenet.evaluation.page.charts import MAIN, QUIET, TEXT, Chart, Trace, axis, numbers
from sitenet.evaluation.results import Results
from sitenet.evaluation.shift import Shift, shifts, sides
from sitenet.evaluation.tables.formats import integer
from sitenet.evaluation.tables.rounding import measured

_ROW = 48  # pixels


def shift_content(results: Results, n_charts: int) -> tuple[dict[str, Any] | None, dict[str, Chart]]:
    """What the template needs for the section, and its charts; nothing without another benchmark.

    Args:
        results: Results of the finished runs.
        n_charts: How many models have charts; the table has all of them.
    """
    if results.other is None:
        return None, {}
    found = shifts(results)
    by_fold = {shift.place: _named_folds(shift, results) for shift in found[:n_charts]}
    section = {
        "names": sides(results),
        "other": results.other.name,
        "answer": _answer(found, results),
        "rows": [(shift.model, *_cells(shift)) for shift in found],
        "folds": {place: [(name, *_cells(own)) for name, own in folds] for place, folds in by_fold.items() if folds},
    }
    charts = {"shift": dumbbell_chart([(shift.model, shift) for shift in found[:n_charts]], results)} if found else {}
    charts |= {f"shift-folds/{place}": dumbbell_chart(folds, results) for place, folds in by_fold.items() if folds}
    return section, charts


def _named_folds(shift: Shift, results: Results) -> list[tuple[str, Shift]]:
    """Each fold by what it holds out; none for kinds of splits whose folds have no name."""
    names = results.splits.held_out
    return [(names[fold], own) for fold, own in shift.by_fold().items()] if names else []


def _cells(shift: Shift) -> tuple[str, ...]:
    """Errors here and there, their difference and the number of crystals, as text."""
    n_test = integer(sum(shift.n_test.values()))
    return measured(shift.mae), measured(shift.other_mae), measured(*shift.difference, sign="+"), n_test


def _answer(found: Sequence[Shift], results: Results) -> str:
    """The short answer: what the best model loses, and whether another one is best in the other benchmark."""
    names, score = sides(results), results.task.error
    if not found:
        return "No model was tested on the same crystals in both benchmarks."
    best, best_there = min(found, key=lambda shift: shift.mae), min(found, key=lambda shift: shift.other_mae)
    here, there = (score.amount(measured(value), results.unit) for value in (best.mae, best.other_mae))
    change = score.amount(measured(*best.difference, sign="+"), results.unit)
    text = f"{best.model} has a test {score.label} of {here} ({names.here}) and, for the same crystals, of {there} "
    text += f"({names.there}): a difference of {change}."
    if best_there is not best:
        text += (
            f" The {score.best} {score.label} of these crystals with the other splits is that of {best_there.model}."
        )
    known = [shift.difference.low for shift in found if not np.isnan(shift.difference.low)]
    lost = sum(low > 0 for low in known)
    return f"{text} {lost} of {len(known)} models lose more than noise." if known else text


def dumbbell_chart(rows: Sequence[tuple[str, Shift]], results: Results) -> Chart:
    """Two points for each row, joined by a line: the error here and in the other benchmark, best first.

    Names stand above their lines: beside them they would leave no space on narrow screens.
    """
    names, score, places = sides(results), results.task.error, list(range(len(rows)))
    found = [shift for _, shift in rows]
    ends = [value for shift in found for value in (*numbers([shift.other_mae, shift.mae]), None)]
    joined = {"x": ends, "y": [y for y in places for _ in range(3)], "line": {"color": QUIET, "width": 2}}
    there = _points(found, "other_mae", names.there, {"color": QUIET, "symbol": "circle-open", "size": 10})
    here = _points(found, "mae", f"{names.here}, 95 % interval of the difference", {"color": MAIN, "size": 10})
    here["error_x"] = {"type": "data", "color": TEXT, "thickness": 1} | {
        "array": numbers(shift.difference.high - shift.difference.value for shift in found),
        "arrayminus": numbers(shift.difference.value - shift.difference.low for shift in found),
    }
    hover = [f"{escape(name)}<br>difference {measured(*shift.difference, sign='+')}" for name, shift in rows]
    value = score.amount("%{x:.3g}", escape(results.unit))
    both = {"text": hover, "hovertemplate": f"%{{text}}<br>{score.label} {value}<extra></extra>"}
    line = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "showlegend": False}
    layout = {
        "xaxis": axis(score.header(results.unit), rangemode="tozero"),
        "yaxis": {"visible": False, "fixedrange": True, "range": [len(rows) - 0.4, -0.8]},
        "height": 120 + _ROW * len(rows),
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        "hovermode": "closest",
        "annotations": [_name(name, y) for y, (name, _) in enumerate(rows)],
    }
    listed = "; ".join(f"{name} {shift.mae:.3g} and {shift.other_mae:.3g}" for name, shift in rows)
    unit = f" in {results.unit}" if score.has_unit else ""
    words = f"{score.label}{unit}, {names.here} and {names.there}: {listed}."
    return Chart([line | joined, there | both, here | both], layout, words)


def _points(found: Sequence[Shift], error: str, name: str, marker: dict[str, Any]) -> Trace:
    x = numbers(getattr(shift, error) for shift in found)
    return {"type": "scatter", "mode": "markers", "name": name, "x": x, "y": list(range(len(x))), "marker": marker}


def _name(name: str, y: int) -> dict[str, Any]:
    place = {"xref": "paper", "x": 0, "xanchor": "left", "y": y, "yanchor": "bottom", "yshift": 7}
    return place | {"text": escape(name), "showarrow": False}
