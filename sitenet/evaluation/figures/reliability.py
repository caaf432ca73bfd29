"""Whether probabilities are right: how often class 1 occurs where it is predicted with some probability."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sitenet.evaluation.figures.style import BLUE, FIGURE_STYLE, GREY, panel_grid, wrapped
from sitenet.evaluation.results import Results
from sitenet.evaluation.runs import LeaderboardRow
from sitenet.evaluation.statistics.classification import BINS, reliability

_BARS = 0.2  # height of the largest bar


def reliability_figure(results: Results) -> Figure:
    """Share of class 1 by predicted probability, one panel a model, best first."""
    rows = [row for row in results.standings.rows if row.runs]
    with mpl.rc_context(FIGURE_STYLE):
        figure, panels = panel_grid(max(len(rows), 1))
        for axes, row in zip(panels, rows, strict=False):
            _draw(axes, row)
            error = float(np.mean(list(row.fold_scores("ece").values())))
            axes.set_title(f"{wrapped(row.model)}\ncalibration error {error:.3f}", loc="left")
        figure.supxlabel("predicted probability of class 1", fontsize="medium")
        figure.supylabel("share of class 1", fontsize="medium")
    return figure


def _draw(axes: Axes, row: LeaderboardRow) -> None:
    frame = pd.concat([frame for fold in row.runs for frame in row.fold_predictions(fold)])
    bins, predicted, observed, counts = reliability(frame["target"].to_numpy(), frame["prediction"].to_numpy())
    axes.bar((bins + 0.5) / BINS, _BARS * counts / counts.max(), width=0.9 / BINS, color=GREY, alpha=0.35)
    axes.plot([0, 1], [0, 1], ":", color=GREY, linewidth=1)
    axes.plot(predicted, observed, "o-", color=BLUE, markersize=4, linewidth=1.4, clip_on=False)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
