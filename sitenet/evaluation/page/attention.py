"""What the networks attend to, and what range they use."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from sitenet.evaluation.attention.analysis import DESCRIPTORS, SAME, AttentionAnalysis
from sitenet.evaluation.figures.attention_maps import SMALLEST, column_shares, weight_range
from sitenet.evaluation.page.charts import TEXT, Chart, axis, numbers, style

MAX_MAPS = 100
DIGITS = 3  # of the numbers in a map, which are many


def attention_section(analysis: AttentionAnalysis) -> dict[str, Any] | None:
    """What the template needs for the section; None where nothing was analysed."""
    if not analysis.runs:
        return None
    heads = analysis.heads
    columns = ["block", "head", "range", "mean_distance", "half_distance", "self_weight"]
    return {
        "answer": " ".join(_sentence(analysis, trial) for trial in analysis.runs),
        "heads": heads.assign(model=heads["trial"].map(analysis.names), sites=np.exp(heads["entropy"]))[
            ["model", "fold", "seed", *columns, "sites"]
        ]
        if len(heads)
        else heads,
        "maps": [(str(number), name) for number, (name, _) in enumerate(_maps(analysis))],
        "uniform": heads["uniform_mean_distance"].iloc[0] if len(heads) else np.nan,
    }


def attention_charts(analysis: AttentionAnalysis) -> dict[str, Chart]:
    """The charts of the section."""
    charts = {"attention-cutoff": cutoff_chart(analysis)} if analysis.runs else {}
    if len(analysis.correlations):
        charts["attention-crystals"] = correlation_chart(analysis)
    return charts | {
        f"attention-map/{number}": map_chart(name, cells) for number, (name, cells) in enumerate(_maps(analysis))
    }


def _sentence(analysis: AttentionAnalysis, trial: str) -> str:
    """What range a trial uses, in words."""
    name, found, label = analysis.names[trial], analysis.range_used(trial), analysis.results.task.crystal_error.label
    near = f"the {label} is within {100 * SAME:g} % of that with all pairs"
    if np.isnan(found):
        return f"{name}: with no tried cut-off {near}."
    return f"{name}: from a cut-off of {found:g} angstrom on, {near}."


def cutoff_chart(analysis: AttentionAnalysis) -> Chart:
    """Test error by cut-off, or the change of predictions where no targets are known."""
    table, score, data, words = analysis.cutoffs, analysis.results.task.crystal_error, [], []
    scored = bool(table[score.key].notna().any())
    for number, trial in enumerate(analysis.runs):
        own = table[table["trial"] == trial]
        cut = own[np.isfinite(own["cutoff"])]
        value = cut[score.key if scored else "change"]
        line: dict[str, Any] = {
            "type": "scatter",
            "mode": "lines+markers",
            "name": analysis.names[trial],
            "x": cut["cutoff"].tolist(),
            "y": numbers(value),
            "line": style(number),
            "hovertemplate": "%{x} angstrom<br>%{y:.3g}<extra>%{fullData.name}</extra>",
        }
        if scored:
            below, above = cut["difference"] - cut["difference_low"], cut["difference_high"] - cut["difference"]
            error = {"array": numbers(above), "arrayminus": numbers(below)}
            line["error_y"] = {"type": "data", "thickness": 1} | error
            whole = own[score.key].iloc[-1]
            level: dict[str, Any] = {
                "mode": "lines",
                "line": style(number) | {"width": 1, "dash": "dot"},
                "hoverinfo": "skip",
            }
            level |= {"x": numbers([cut["cutoff"].min(), cut["cutoff"].max()]), "y": numbers([whole, whole])}
            data.append({"type": "scatter", "showlegend": False} | level)
        data.append(line)
        words.append(f"{analysis.names[trial]}: {_listed(cut['cutoff'], value)}")
    label = f"test {score.label}" if scored else "mean change of the predictions"
    label = replace(score, label=label).header(analysis.results.unit)
    layout = {
        "xaxis": axis("cut-off (angstrom)"),
        "yaxis": axis(label),
        "height": 440,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    }
    return Chart(data, layout, f"{label} by cut-off in angstrom. {'; '.join(words)}.")


def _listed(x: "pd.Series[float]", y: "pd.Series[float]") -> str:
    return ", ".join(f"{a:g} {b:.3g}" for a, b in zip(x, y, strict=True))


def correlation_chart(analysis: AttentionAnalysis) -> Chart:
    """Rank correlations of the long-range coefficient with descriptors of the crystals."""
    data, words = [], []
    for number, (trial, own) in enumerate(analysis.correlations.groupby("trial", sort=False)):
        name = analysis.names[str(trial)]
        labels = [DESCRIPTORS[descriptor] for descriptor in own["descriptor"]]
        ends: dict[str, Any] = {
            "array": own["high"] - own["correlation"],
            "arrayminus": own["correlation"] - own["low"],
        }
        error: dict[str, Any] = {end: numbers(values) for end, values in ends.items()}
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": numbers(own["correlation"]),
                "y": labels,
                "error_x": dict(error, type="data", thickness=1),
                "marker": {"color": style(number)["color"], "size": 8},
                "hovertemplate": "%{y}<br>%{x:.2f}<extra>%{fullData.name}</extra>",
            }
        )
        found = zip(labels, own["correlation"], strict=True)
        words.append(f"{name}: {', '.join(f'{label} {value:.2f}' for label, value in found)}")
    layout = {
        "xaxis": axis("rank correlation with the long-range coefficient", range=[-1, 1]),
        "yaxis": {"automargin": True, "autorange": "reversed"},
        "height": 360,
        "scattermode": "group",
        "shapes": [{"type": "line", "x0": 0, "x1": 0, "yref": "paper", "y0": 0, "y1": 1, "line": {"color": TEXT}}],
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    }
    return Chart(data, layout, f"Rank correlation with the long-range coefficient. {'; '.join(words)}.")


def _maps(analysis: AttentionAnalysis) -> list[tuple[str, pd.DataFrame]]:
    """Name and cells of the map of every head of the first run of each trial, at most `MAX_MAPS`."""
    found = []
    for trial, runs in analysis.runs.items():
        maps = runs[0].maps
        for place, cells in maps.groupby(["block", "head"]) if len(maps) else ():
            block, head = place
            found.append((f"{analysis.names[trial]}, block {block}, head {head}", cells))
    return found[:MAX_MAPS]


def map_chart(name: str, cells: pd.DataFrame) -> Chart:
    """The distribution of weights at each distance; colours are logarithmic."""
    distances, log_weights, share = column_shares(cells)
    with np.errstate(divide="ignore"):
        z = np.log10(share)
    data = {
        "type": "heatmap",
        "x": numbers(_middles(distances)),
        "y": numbers(_middles(log_weights)),
        "z": [[float(f"{v:.{DIGITS}g}") if np.isfinite(v) else None for v in row] for row in z],
        "zmin": float(np.log10(SMALLEST)),
        "zmax": 0,
        "colorscale": "Viridis",
        "hovertemplate": "%{x} angstrom, weight 10^%{y}<br>10^%{z} of the pairs<extra></extra>",
        "hoverongaps": False,
        "colorbar": {"title": {"text": "log10 of the share"}, "thickness": 12},
    }
    layout = {
        "xaxis": axis("distance (angstrom)"),
        "yaxis": axis("log10 of the weight of a site", range=list(weight_range(cells))),
        "height": 420,
    }
    return Chart([data], layout, f"Weights of attention by distance: {name}.")


def _middles(edges: np.ndarray) -> np.ndarray:
    return (edges[1:] + edges[:-1]) / 2
