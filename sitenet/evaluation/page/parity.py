"""Prediction against reference, and the distribution of errors."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from sitenet.evaluation.page.charts import CONTRAST, FEW, MAIN, MOST, TEXT, Chart, axis, log_axis, numbers, style
from sitenet.evaluation.statistics.ranges import shown_range

MANY = 1200  # crystals: their density is shown, and a part of them as points
MAX_POINTS = 400  # this random part
N_WORST = 50  # crystals that are always points, and as many outside the chart
BINS = 70
MAX_CURVES = 12


def parity_chart(errors: pd.DataFrame, target: str, unit: str, limits: tuple[float, float]) -> Chart:
    """Every crystal as a point, or their density, `MAX_POINTS` of them and the worst; on the line both values agree.

    Args:
        errors: The errors of one model, of `TestCrystals.errors`.
        target: Name of the target.
        unit: Its unit.
        limits: Shown range of both axes.
    """
    low, high = limits
    inside = errors["target"].between(low, high) & errors["prediction"].between(low, high)
    worst = errors.nlargest(min(N_WORST, -(-len(errors) // 10)), "error")
    beyond = errors[~inside].nlargest(N_WORST, "error")
    rest = errors[inside].drop(worst.index, errors="ignore")
    many = len(errors) > MANY
    sample = rest.sample(min(MAX_POINTS, len(rest)), random_state=0) if many else rest
    traces = [
        _points(sample, unit, name="crystals", color=MAIN, size=4, opacity=0.5),
        _points(worst[inside.loc[worst.index]], unit, name="the worst", color=CONTRAST, size=7, symbol="x-thin-open"),
        _points(beyond, unit, limits, name="outside the chart", color=CONTRAST, size=10, symbol="triangle-up"),
    ]
    data = [
        *([_density(errors, limits)] if many else []),
        *(trace for trace in traces if trace["x"]),
        _diagonal(limits),
    ]
    layout = {
        "xaxis": axis(f"reference {target} ({unit})", range=[low, high], constrain="domain"),
        "yaxis": axis(f"predicted {target} ({unit})", range=[low, high], scaleanchor="x", constrain="domain"),
        "height": 480,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        "hovermode": "closest",
    }
    return Chart(data, layout, f"Predicted against reference values of {len(errors):,} test crystals.")


def _diagonal(limits: tuple[float, float]) -> dict[str, Any]:
    ends = {"x": numbers(limits), "y": numbers(limits), "line": {"color": TEXT, "width": 1}}
    return ends | {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "showlegend": False}


def _points(
    frame: pd.DataFrame, unit: str, limits: tuple[float, float] = (-np.inf, np.inf), *, name: str, **marker: Any
) -> dict[str, Any]:
    """Crystals as points; those outside the limits stand at their edge."""
    columns = ("formula", "id", "file", "target", "prediction", "error")
    texts = [
        f"<b>{escape(formula)}</b><br>{escape(id_)}"
        + (f"<br>file {escape(file)}" if file not in ("", id_) else "")
        + f"<br>reference {target:.4g}<br>prediction {prediction:.4g}<br>error {error:.4g} {escape(unit)}"
        for formula, id_, file, target, prediction, error in zip(*(frame[name] for name in columns), strict=True)
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": numbers(frame["target"].clip(*limits)),
        "y": numbers(frame["prediction"].clip(*limits)),
        "text": texts,
        "hovertemplate": "%{text}<extra></extra>",
        "marker": marker,
    }


def _density(errors: pd.DataFrame, limits: tuple[float, float]) -> dict[str, Any]:
    """Number of crystals in small squares, coloured by its logarithm."""
    counts, edges, _ = np.histogram2d(errors["target"], errors["prediction"], bins=BINS, range=[limits, limits])
    found = np.where(counts > 0, np.log10(np.maximum(counts, 1)), np.nan)
    ticks = list(range(int(np.ceil(np.log10(max(counts.max(), 1)))) + 1))
    return {
        "type": "heatmap",
        "x0": (edges[0] + edges[1]) / 2,
        "dx": edges[1] - edges[0],
        "y0": (edges[0] + edges[1]) / 2,
        "dy": edges[1] - edges[0],
        "z": [[None if np.isnan(v) else round(v, 2) for v in column] for column in found.T],
        "colorscale": [[0, FEW], [1, MOST]],
        "colorbar": {
            "title": {"text": "crystals", "side": "right"},
            "tickvals": ticks,
            "ticktext": [f"{10**tick:,}" for tick in ticks],
            "thickness": 12,
        },
        "hoverinfo": "skip",
    }


def signed_chart(errors: pd.DataFrame, unit: str) -> Chart:
    """Histogram of prediction minus reference of one model; the outermost bins hold everything beyond."""
    signed = errors["prediction"] - errors["target"]
    low, high = shown_range(signed)
    bins = max(10, min(60, round(len(signed) ** 0.5) * 2))
    counts, edges = np.histogram(signed.clip(low, high), bins=bins, range=(low, high))
    mean = float(signed.mean())
    data = [
        {
            "type": "bar",
            "x": numbers((edges[1:] + edges[:-1]) / 2),
            "y": counts.tolist(),
            "width": float(edges[1] - edges[0]),
            "marker": {"color": MAIN, "line": {"width": 0}},
            "hovertemplate": "error about %{x}<br>%{y} crystals<extra></extra>",
        }
    ]
    layout = {
        "xaxis": axis(f"prediction - reference ({unit})"),
        "yaxis": axis("test crystals"),
        "height": 320,
        "bargap": 0,
        "shapes": [_line_at(mean)],
        "annotations": [
            {"x": mean, "y": 1, "yref": "paper", "yanchor": "bottom", "text": f"mean {mean:+.3g}", "showarrow": False}
        ],
    }
    return Chart(data, layout, f"Histogram of the errors; their mean is {mean:+.3g} {unit}.")


def _line_at(x: float) -> dict[str, Any]:
    return {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper", "line": {"color": TEXT, "dash": "dot"}}


def cumulative_chart(errors: Mapping[str, pd.Series], unit: str) -> Chart:
    """Share of the test crystals with an error below x, a curve for each of the first `MAX_CURVES` models."""
    shares = np.concatenate([np.linspace(0, 0.98, 99), [0.99, 0.995, 0.999, 1]])
    data, smallest, largest = [], [], []
    for number, (model, own) in enumerate(list(errors.items())[:MAX_CURVES]):
        quantiles = np.quantile(own, shares)
        smallest.append(np.quantile(own, 0.05))
        largest.append(quantiles[-1])
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": model,
                "x": numbers(quantiles),
                "y": numbers(100 * shares),
                "line": style(number),
                "hovertemplate": "%{y:.4g} % below %{x:.3g}<extra>%{fullData.name}</extra>",
            }
        )
    positive = [value for value in smallest if value > 0]
    low = min(positive, default=max([*largest, 1.0]) / 1000)
    layout = {
        "xaxis": log_axis(f"absolute error ({unit})", low, max([*largest, low * 10])),
        "yaxis": axis("crystals with a smaller error (%)", range=[0, 100]),
        "height": 420,
        "legend": {"orientation": "h", "y": -0.25, "yanchor": "top"},
    }
    return Chart(data, layout, "Share of the test crystals with an error below each value, for every model.")
