"""ROC curves: crystals of class 1 that are found, against those of class 0 that are taken for them."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sitenet.evaluation.figures.style import BLUE, FIGURE_STYLE, GREY, ORANGE, panel_grid, wrapped
from sitenet.evaluation.results import Results
from sitenet.evaluation.runs import Run
from sitenet.evaluation.statistics.classification import THRESHOLD, roc_curve
from sitenet.evaluation.tables.rounding import measured


def roc_figure(results: Results) -> Figure:
    """ROC curves of all folds and seeds, one panel a model, best first; the area is that of the leaderboard."""
    standings, label = results.standings, results.task.score.label
    rows = [(i, row) for i, row in enumerate(standings.rows) if row.runs]
    with mpl.rc_context(FIGURE_STYLE):
        figure, panels = panel_grid(max(len(rows), 1))
        for axes, (i, row) in zip(panels, rows, strict=False):
            _draw(axes, [frame for fold in row.runs for frame in row.fold_predictions(fold)])
            axes.set_title(f"{wrapped(row.model)}\n{label} {measured(*standings.score(i))}", loc="left")
        figure.supxlabel("false positive rate", fontsize="medium")
        figure.supylabel("true positive rate", fontsize="medium")
    return figure


def run_roc_figure(run: Run) -> Figure:
    """ROC curve of one scored run's test crystals."""
    with mpl.rc_context(FIGURE_STYLE):
        figure, (axes,) = panel_grid(1)
        _draw(axes, [run.scored_predictions()])
        axes.set(xlabel="false positive rate", ylabel="true positive rate")
    return figure


def _draw(axes: Axes, frames: Sequence[pd.DataFrame]) -> None:
    axes.plot([0, 1], [0, 1], ":", color=GREY, linewidth=1)
    for frame in frames:
        false, true = roc_curve(frame["target"].to_numpy(), frame["prediction"].to_numpy())
        axes.plot(false, true, color=BLUE, linewidth=1 if len(frames) < 4 else 0.7, alpha=0.8)
    axes.plot(*_at_threshold(pd.concat(frames)), "o", color=ORANGE, fillstyle="none", clip_on=False)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")


def _at_threshold(frame: pd.DataFrame) -> tuple[float, float]:
    """Shares of class 0 and of class 1 that are taken for class 1."""
    chosen = frame["prediction"] > THRESHOLD
    of_class = [chosen[frame["target"] == own] for own in (0, 1)]
    return tuple(float(own.mean()) if len(own) else np.nan for own in of_class)  # type: ignore[return-value]
