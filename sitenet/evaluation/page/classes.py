"""Predicted classes: ROC curves, and whether probabilities are right."""

import numpy as np
import pandas as pd

from sitenet.evaluation.page.charts import MAIN, QUIET, Chart, Trace, axis, numbers
from sitenet.evaluation.runs import LeaderboardRow
from sitenet.evaluation.statistics.classification import BINS, reliability, roc_curve

MAX_POINTS = 200  # of a curve
_SHARE = {"range": [0, 1], "constrain": "domain"}
_DIAGONAL: Trace = {"type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "hoverinfo": "skip"} | {
    "line": {"color": QUIET, "dash": "dot", "width": 1},
    "showlegend": False,
}


def roc_chart(row: LeaderboardRow) -> Chart:
    """A ROC curve for each fold and seed of a model."""
    data = [_DIAGONAL]
    for fold in row.runs:
        for frame in row.fold_predictions(fold):
            false, true = roc_curve(frame["target"].to_numpy(), frame["prediction"].to_numpy())
            kept = np.unique(np.linspace(0, len(false) - 1, min(len(false), MAX_POINTS)).round().astype(int))
            data.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": f"fold {fold}",
                    "x": numbers(false[kept]),
                    "y": numbers(true[kept]),
                    "line": {"color": MAIN, "width": 1.2},
                    "hovertemplate": f"fold {fold}<br>%{{y:.3g}} found<br>%{{x:.3g}} taken for them<extra></extra>",
                }
            )
    layout = {
        "xaxis": axis("false positive rate", **_SHARE),
        "yaxis": axis("true positive rate", scaleanchor="x", **_SHARE),
        "height": 480,
        "showlegend": False,
        "hovermode": "closest",
    }
    return Chart(data, layout, f"ROC curves of {len(data) - 1} runs.")


def reliability_chart(row: LeaderboardRow) -> Chart:
    """How often class 1 occurs where it is predicted with some probability, of all folds and seeds together."""
    frame = pd.concat([frame for fold in row.runs for frame in row.fold_predictions(fold)])
    _, predicted, observed, counts = reliability(frame["target"].to_numpy(), frame["prediction"].to_numpy())
    points = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": numbers(predicted),
        "y": numbers(observed),
        "text": [f"{count:,.0f} predictions" for count in counts],
        "hovertemplate": "probability %{x:.3g}<br>share of class 1 %{y:.3g}<br>%{text}<extra></extra>",
        "line": {"color": MAIN, "width": 1.5},
        "marker": {"size": numbers(4 + 14 * np.sqrt(counts / counts.max()))},
        "showlegend": False,
    }
    layout = {
        "xaxis": axis("predicted probability of class 1", **_SHARE),
        "yaxis": axis("share of class 1", **_SHARE),
        "height": 400,
        "hovermode": "closest",
    }
    listed = ", ".join(f"{a:.2f} {b:.2f}" for a, b in zip(predicted, observed, strict=True))
    return Chart([_DIAGONAL, points], layout, f"Share of class 1 by probability, in {BINS} bins: {listed}.")
