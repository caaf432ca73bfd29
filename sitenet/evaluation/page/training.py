"""Training: cost against error, curves by epoch, and what the hyperparameters did."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from sitenet.evaluation.ablation import plain, short
from sitenet.evaluation.figures.epoch_curves import selecting_mae
from sitenet.evaluation.page.charts import CONTRAST, MAIN, QUIET, TEXT, Chart, log_axis, numbers, style
from sitenet.evaluation.results import Results
from sitenet.evaluation.runs import LeaderboardRow, Run, varying_settings
from sitenet.evaluation.statistics.bootstrap import Estimate
from sitenet.models.registry import is_network

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
    """Test MAE against training time, with the models that nothing cheaper beats; those trained elsewhere are lines."""
    standings, unit = results.standings, results.unit
    rows = [(i, row) for i, row in enumerate(standings.rows) if row.runs]
    own = [(max(seconds(row, cost), SHORTEST), standings.score(i), row.model) for i, row in rows if row.is_trained_here]
    elsewhere = [(standings.score(i).value, row.model) for i, row in rows if not row.is_trained_here]
    front = pareto_front([(time, score.value) for time, score, _ in own])
    times = [time for time, _, _ in own] or [SHORTEST]
    low, high = min(times) / 2, max(times) * 2
    best = {
        "type": "scatter",
        "mode": "lines",
        "name": "Pareto front",
        "x": numbers([*(time for time, _ in front), high] if front else []),
        "y": numbers([*(mae for _, mae in front), front[-1][1]] if front else []),
        "line": {"shape": "hv", "color": CONTRAST, "width": 2},
        "hoverinfo": "skip",
    }
    layout = {
        "xaxis": log_axis(f"{COSTS[cost]} (s)", low, high),
        "yaxis": {"title": {"text": f"test MAE ({unit})"}, "rangemode": "tozero", "automargin": True},
        "height": 440,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        "hovermode": "closest",
        "shapes": [_level(mae) for mae, _ in elsewhere],
        "annotations": [_level_name(mae, name) for mae, name in elsewhere[:MAX_TRIALS]],
    }
    names = ", ".join(name for time, score, name in own if (time, score.value) in front)
    return Chart(
        [best, _models(own, unit)], layout, f"Test MAE against {COSTS[cost]}; on the Pareto front: {names or 'none'}."
    )


def _models(own: Sequence[tuple[float, Estimate, str]], unit: str) -> dict[str, Any]:
    """(training time, score, name) of every model as a point with its interval; few models have their names beside."""
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
        "hovertemplate": f"%{{text}}<br>MAE %{{y:.3g}} {escape(unit)}<br>%{{x:.3g}} s<extra></extra>",
        "marker": {"color": MAIN, "size": 9},
    }


def _level(mae: float) -> dict[str, Any]:
    line = {"color": QUIET, "dash": "dash", "width": 1}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": mae, "y1": mae, "line": line}


def _level_name(mae: float, name: str) -> dict[str, Any]:
    place = {"xref": "paper", "x": 1, "xanchor": "right", "y": mae, "yanchor": "bottom", "showarrow": False}
    return place | {"text": escape(name), "font": {"size": 11, "color": QUIET}}


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The (cost, error) points that no other point beats in one of both without being worse in the other."""
    front: list[tuple[float, float]] = []
    for cost, error in sorted(points):
        if not front or error < front[-1][1]:
            front.append((cost, error))
    return front


def curves_chart(results: Results) -> Chart | None:
    """MAE by epoch of the trials with the lowest validation error: mean over folds and seeds, at most `MAX_TRIALS`."""
    by_trial: dict[str, list[Run]] = {}
    for run in results.runs:
        if is_network(run.result.kind) and run.result.key.trial in results.planned.trials:
            by_trial.setdefault(run.result.key.trial, []).append(run)
    if not by_trial:
        return None
    ranked = sorted(by_trial, key=lambda trial: np.mean([run.result.validation_mae for run in by_trial[trial]]))
    data = []
    for number, trial in enumerate(ranked[:MAX_TRIALS]):
        histories = [run.history() for run in by_trial[trial]]
        name = f"{by_trial[trial][0].result.kind} {trial}"
        validation = _mean([selecting_mae(history) for history in histories])
        training = _mean([history.set_index("epoch")["train_mae"].astype(float) for history in histories])
        data.append(_curve(validation, f"{name}, validation", style(number) | {"dash": "solid", "width": 2}))
        data.append(_curve(training, f"{name}, training", style(number) | {"dash": "dot", "width": 1.2}))
    maes = [mae for curve in data for mae in curve["y"] if mae]
    layout = {
        "xaxis": {"title": {"text": "epoch"}, "automargin": True},
        "yaxis": log_axis(f"MAE ({results.unit})", 0.95 * min(maes, default=1), 1.05 * max(maes, default=10)),
        "height": 440,
        "legend": {"orientation": "h", "y": -0.2, "yanchor": "top"},
    }
    return Chart(data, layout, f"MAE by epoch of {min(len(ranked), MAX_TRIALS)} of {len(ranked)} trials.")


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
    """For each setting that the grid varies, by "kind: setting": the validation MAE of every trial by its value."""
    maes: dict[str, list[float]] = {}
    for run in results.runs:
        maes.setdefault(run.result.key.trial, []).append(run.result.validation_mae)
    charts = {}
    for kind, trials in results.planned.trials_by_kind().items():
        done = {trial: settings for trial, settings in trials.items() if trial in maes}
        for setting in varying_settings(done) if is_network(kind) else []:
            values = {trial: plain(settings[setting]) for trial, settings in done.items()}
            scores = {trial: float(np.mean(maes[trial])) for trial in done}
            charts[f"{kind}: {short(setting)}"] = _setting_chart(short(setting), values, scores, results.unit)
    return dict(list(charts.items())[:MAX_SETTINGS])


def _setting_chart(setting: str, values: dict[str, str], scores: dict[str, float], unit: str) -> Chart:
    frame = pd.DataFrame({"value": values, "mae": scores})
    means = frame.groupby("value", sort=False)["mae"].mean()
    means = means.loc[sorted(means.index, key=lambda value: (not _is_number(value), _number(value), value))]
    trials = {
        "type": "scatter",
        "mode": "markers",
        "name": "trial",
        "x": frame["value"].tolist(),
        "y": numbers(frame["mae"]),
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
        "yaxis": {"title": {"text": f"validation MAE ({unit})"}, "automargin": True},
        "height": 360,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    }
    listed = "; ".join(f"{value} {mae:.3g}" for value, mae in means.items())
    return Chart([mean, trials], layout, f"Mean validation MAE in {unit} by {setting}: {listed}.")


def _is_number(value: str) -> bool:
    return value.lstrip("-")[:1].isdigit()


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return np.inf
