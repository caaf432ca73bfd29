"""Training: cost against error, curves by epoch, and what the hyperparameters did."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from sitenet.config.trial import short
from sitenet.evaluation.ablation import plain
from sitenet.evaluation.figures.epoch_curves import selecting_error
from sitenet.evaluation.page.charts import CONTRAST, MAIN, QUIET, TEXT, Chart, axis, log_axis, numbers, style
from sitenet.evaluation.results import Results
from sitenet.evaluation.runs import LeaderboardRow, Run, varying_settings
from sitenet.evaluation.statistics.bootstrap import Estimate
from sitenet.models.registry import is_network
from sitenet.tasks import MAE, Score

MAX_TRIALS = 8
MAX_EPOCHS = 200  # points of a curve
MAX_SETTINGS = 20
SHORTEST = 1.0  # seconds; on the axis, shorter trainings stand here
Costs = dict[str, str]
COSTS: Costs = {"training": "training time", "search": "training time with the search for settings"}


def seconds(row: LeaderboardRow, cost: str) -> float:
    """Training time of a row's runs, or of all its candidates with `cost` "search"."""
    return sum(run.result.cost.seconds for run in (row.all_runs if cost == "training" else row.search))


def cost_chart(results: Results, cost: str) -> Chart:
    """Test score against training time, with the models that nothing cheaper beats; models of elsewhere are lines."""
    standings, kind = results.standings, results.task.score
    rows = [(i, row) for i, row in enumerate(standings.rows) if row.runs]
    own = [(max(seconds(row, cost), SHORTEST), standings.score(i), row.model) for i, row in rows if row.is_trained_here]
    elsewhere = [(standings.score(i).value, row.model) for i, row in rows if not row.is_trained_here]
    front = pareto_front([(time, score.value) for time, score, _ in own], kind)
    times = [time for time, _, _ in own] or [SHORTEST]
    low, high = min(times) / 2, max(times) * 2
    best = {
        "type": "scatter",
        "mode": "lines",
        "name": "Pareto front",
        "x": numbers([*(time for time, _ in front), high] if front else []),
        "y": numbers([*(value for _, value in front), front[-1][1]] if front else []),
        "line": {"shape": "hv", "color": CONTRAST, "width": 2},
        "hoverinfo": "skip",
    }
    layout = {
        "xaxis": log_axis(f"{COSTS[cost]} (s)", low, high),
        "yaxis": axis(
            f"test {kind.header(results.unit)}", **({"rangemode": "tozero"} if kind.better == "lower" else {})
        ),
        "height": 440,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        "hovermode": "closest",
        "shapes": [_level(value) for value, _ in elsewhere],
        "annotations": [_level_name(value, name) for value, name in elsewhere[:MAX_TRIALS]],
    }
    names = ", ".join(name for time, score, name in own if (time, score.value) in front)
    words = f"Test {kind.label} against {COSTS[cost]}; on the Pareto front: {names or 'none'}."
    return Chart([best, _models(own, kind, results.unit)], layout, words)


def _models(own: Sequence[tuple[float, Estimate, str]], kind: Score, unit: str) -> dict[str, Any]:
    """(training time, score, name) of every model as a point with its interval; few models have their names beside."""
    value = kind.amount("%{y:.3g}", escape(unit))
    return {
        "type": "scatter",
        "mode": "markers+text" if len(own) <= MAX_TRIALS else "markers",
        "name": "model, 95 % interval",
        "x": numbers(time for time, _, _ in own),
        "y": numbers(score.value for _, score, _ in own),
        "error_y": {
            "type": "data",
            "array": numbers(score.high - score.value for _, score, _ in own),
            "arrayminus": numbers(score.value - score.low for _, score, _ in own),
            "thickness": 1,
        },
        "text": [escape(name) for _, _, name in own],
        "textposition": ["top center" if place % 2 else "bottom center" for place in range(len(own))],
        "hovertemplate": f"%{{text}}<br>{kind.label} {value}<br>%{{x:.3g}} s<extra></extra>",
        "marker": {"color": MAIN, "size": 9},
    }


def _level(value: float) -> dict[str, Any]:
    line = {"color": QUIET, "dash": "dash", "width": 1}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": value, "y1": value, "line": line}


def _level_name(value: float, name: str) -> dict[str, Any]:
    place = {"xref": "paper", "x": 1, "xanchor": "right", "y": value, "yanchor": "bottom", "showarrow": False}
    return place | {"text": escape(name), "font": {"size": 11, "color": QUIET}}


def pareto_front(points: Sequence[tuple[float, float]], score: Score = MAE) -> list[tuple[float, float]]:
    """The (cost, score) points that no other point beats in one of both without being worse in the other."""
    front: list[tuple[float, float]] = []
    for cost, value in sorted(points, key=lambda point: (point[0], score.loss(point[1]))):
        if not front or score.loss(value) < score.loss(front[-1][1]):
            front.append((cost, value))
    return front


def curves_chart(results: Results) -> Chart | None:
    """Error by epoch, mean over folds and seeds, of the `MAX_TRIALS` trials with the lowest validation error."""
    by_trial: dict[str, list[Run]] = {}
    for run in results.runs:
        if is_network(run.result.kind) and run.result.key.trial in results.planned.trials:
            by_trial.setdefault(run.result.key.trial, []).append(run)
    if not by_trial:
        return None
    ranked = sorted(by_trial, key=lambda trial: np.mean([run.result.validation_error for run in by_trial[trial]]))
    data = []
    for number, trial in enumerate(ranked[:MAX_TRIALS]):
        histories = [run.history() for run in by_trial[trial]]
        name = f"{by_trial[trial][0].result.kind} {trial}"
        validation = _mean([selecting_error(history) for history in histories])
        training = _mean([history.set_index("epoch")["train_error"].astype(float) for history in histories])
        data.append(_curve(validation, f"{name}, validation", style(number) | {"dash": "solid", "width": 2}))
        data.append(_curve(training, f"{name}, training", style(number) | {"dash": "dot", "width": 1.2}))
    errors, score = [error for curve in data for error in curve["y"] if error], results.task.error
    layout = {
        "xaxis": {"title": {"text": "epoch"}, "automargin": True},
        "yaxis": log_axis(score.header(results.unit), 0.95 * min(errors, default=1), 1.05 * max(errors, default=10)),
        "height": 440,
        "legend": {"orientation": "h", "y": -0.2, "yanchor": "top"},
    }
    return Chart(data, layout, f"{score.label} by epoch of {min(len(ranked), MAX_TRIALS)} of {len(ranked)} trials.")


def _mean(curves: Sequence["pd.Series[float]"]) -> "pd.Series[float]":
    """Mean by epoch up to the end of the shortest run, at `MAX_EPOCHS` epochs or fewer."""
    mean = pd.concat(curves, axis=1).mean(axis=1, skipna=False).dropna()
    return mean.iloc[np.unique(np.linspace(0, len(mean) - 1, min(len(mean), MAX_EPOCHS)).round().astype(int))]


def _curve(curve: "pd.Series[float]", name: str, line: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines" if len(curve) > 1 else "markers",
        "name": name,
        "x": curve.index.tolist(),
        "y": numbers(curve),
        "line": line,
        "hovertemplate": "epoch %{x}<br>%{y:.3g}<extra>%{fullData.name}</extra>",
    }


def setting_charts(results: Results) -> dict[str, Chart]:
    """For each setting that the grid varies, by "kind: setting": the validation error of its trials by its value.

    Trials of searches are left out, as most of them were stopped early.
    """
    errors: dict[str, list[float]] = {}
    for run in results.runs:
        errors.setdefault(run.result.key.trial, []).append(run.result.validation_error)
    charts = {}
    for kind, trials in results.planned.grid.trials_by_kind().items():
        done = {trial: settings for trial, settings in trials.items() if trial in errors}
        for setting in varying_settings(done) if is_network(kind) else []:
            values = {trial: plain(settings[setting]) for trial, settings in done.items()}
            scores = {trial: float(np.mean(errors[trial])) for trial in done}
            charts[f"{kind}: {short(setting)}"] = _setting_chart(short(setting), values, scores, results)
    return dict(list(charts.items())[:MAX_SETTINGS])


def _setting_chart(setting: str, values: dict[str, str], scores: dict[str, float], results: Results) -> Chart:
    score = results.task.error
    frame = pd.DataFrame({"value": values, "error": scores})
    means = frame.groupby("value", sort=False)["error"].mean()
    means = means.loc[sorted(means.index, key=lambda value: (not _is_number(value), _number(value), value))]
    trials = {
        "type": "scatter",
        "mode": "markers",
        "name": "trial",
        "x": frame["value"].tolist(),
        "y": numbers(frame["error"]),
        "text": frame.index.tolist(),
        "hovertemplate": "trial %{text}<br>%{x}<br>%{y:.3g}<extra></extra>",
        "marker": {"color": MAIN, "size": 7, "opacity": 0.6},
    }
    mean = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "mean",
        "x": means.index.tolist(),
        "y": numbers(means),
        "line": {"color": TEXT, "width": 1},
        "marker": {"symbol": "diamond-open", "size": 10},
    }
    order = {"categoryorder": "array", "categoryarray": means.index.tolist()}
    layout = {
        "xaxis": {"title": {"text": setting}, "type": "category", "automargin": True, **order},
        "yaxis": axis(f"validation {score.header(results.unit)}"),
        "height": 360,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    }
    listed = "; ".join(f"{value} {error:.3g}" for value, error in means.items())
    unit = f" in {results.unit}" if score.has_unit else ""
    return Chart([mean, trials], layout, f"Mean validation {score.label}{unit} by {setting}: {listed}.")


def _is_number(value: str) -> bool:
    return value.lstrip("-")[:1].isdigit()


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return np.inf
