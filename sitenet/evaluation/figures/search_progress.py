"""What searches found by the training time they took."""

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from sitenet.evaluation.figures.style import BLUE, FIGURE_STYLE, GREY, ORANGE, log_errors, panel_grid
from sitenet.evaluation.results import Results
from sitenet.evaluation.search import GRID, search_progress

COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito's palette


def search_progress_figure(results: Results) -> Figure:
    """Best validation MAE so far by training time, one panel for each fold; the grid's trials are grey.

    Points are single trainings; those that diverged are not drawn.
    """
    progress = search_progress(results)
    progress["minutes"] = progress["total_seconds"] / 60
    folds = sorted(progress["fold"].unique())
    names = list(dict.fromkeys(zip(progress["search"], progress["kind"], strict=True)))
    drawn = [name for name in names if name[0] != GRID]
    colours = {name: COLOURS[drawn.index(name) % len(COLOURS)] if name in drawn else GREY for name in names}
    with mpl.rc_context(FIGURE_STYLE):
        figure, panels = panel_grid(max(len(folds), 1))
        for axes, fold in zip(panels, folds, strict=False):
            axes.set_title(f"fold {fold}", loc="left")
            for (search, kind), color in colours.items():
                own = progress[(progress["search"] == search) & (progress["kind"] == kind) & (progress["fold"] == fold)]
                own = own[np.isfinite(own["best_so_far"])]
                finite = own[np.isfinite(own["validation_mae"])]
                axes.plot(finite["minutes"], finite["validation_mae"], ".", color=color, markersize=4, alpha=0.5)
                label = f"{kind}, {'grid' if search == GRID else f'search {search}'}"
                axes.step(own["minutes"], own["best_so_far"], where="post", color=color, linewidth=1.6, label=label)
            log_errors(axes)
        figure.supxlabel("training time of all trials so far (minutes)", fontsize="medium")
        figure.supylabel(f"validation MAE ({results.unit})", fontsize="medium")
        if folds:
            figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right")
    return figure
