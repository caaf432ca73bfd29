"""What searches found with how much training."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sitenet.evaluation.figures.style import BLUE, FIGURE_STYLE, GREY, ORANGE, PANEL, log_errors
from sitenet.evaluation.results import Results
from sitenet.evaluation.search import GRID, search_progress

COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito's palette
AXES = {"total_epochs": "epochs", "minutes": "minutes"}


def search_progress_figure(results: Results) -> Figure:
    """Lowest validation error so far by epochs and by training time, two panels for each fold; the grid is grey.

    Points are single trainings; those that diverged are not drawn.
    """
    progress = search_progress(results)
    progress["minutes"] = progress["total_seconds"] / 60
    progress["name"] = progress["kind"] + ", " + progress["search"].where(progress["search"] == GRID, "search ")
    progress["name"] += progress["search"].where(progress["search"] != GRID, "")
    names = sorted(progress["name"].unique(), key=lambda name: name.endswith(GRID))
    colours = {name: GREY if name.endswith(GRID) else COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    folds = sorted(progress["fold"].unique())
    n_rows = max(len(folds), 1)
    with mpl.rc_context(FIGURE_STYLE):
        figure = Figure(figsize=(2 * PANEL, 0.4 + PANEL * n_rows), layout="constrained")
        rows = figure.subplots(n_rows, len(AXES), sharex="col", sharey="row", squeeze=False)
        for panels, fold in zip(rows, folds, strict=False):
            panels[0].set_title(f"fold {fold}", loc="left")
            for axes, axis in zip(panels, AXES, strict=True):
                _draw(axes, progress[progress["fold"] == fold], axis, colours)
        for axes, label in zip(rows[-1], AXES.values(), strict=True):
            axes.set_xlabel(f"{label} of all trials so far")
        figure.supylabel(f"validation {results.task.error.header(results.unit)}", fontsize="medium")
        if folds:
            figure.legend(*rows[0, 0].get_legend_handles_labels(), loc="outside upper right")
    return figure


def _draw(axes: Axes, progress: pd.DataFrame, axis: str, colours: Mapping[str, str]) -> None:
    for name, color in colours.items():
        own = progress[(progress["name"] == name) & np.isfinite(progress["best_so_far"])]
        points = own[np.isfinite(own["validation_error"])]
        axes.plot(points[axis], points["validation_error"], ".", color=color, markersize=4, alpha=0.5)
        axes.step(own[axis], own["best_so_far"], where="post", color=color, linewidth=1.6, label=name)
    log_errors(axes)
