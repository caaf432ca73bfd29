"""Which hyperparameters mattered in searches."""

import matplotlib as mpl
from matplotlib.figure import Figure

from sitenet.config.trial import short
from sitenet.evaluation.figures.style import BLUE, FIGURE_STYLE, panel_grid
from sitenet.evaluation.results import Results
from sitenet.evaluation.search import importances


def search_importance_figure(results: Results) -> Figure:
    """Importance of each hyperparameter with its interval, one panel for each search; most important first."""
    table = importances(results)
    searches = list(table["search"].unique())
    with mpl.rc_context(FIGURE_STYLE):
        figure, panels = panel_grid(max(len(searches), 1))
        for axes, search in zip(panels, searches, strict=False):
            own = table[table["search"] == search].iloc[::-1]
            places = range(len(own))
            axes.barh(places, own["importance"], color=BLUE, alpha=0.6, height=0.6)
            axes.hlines(places, own["low"], own["high"], color="black", linewidth=1.2)
            axes.set_yticks(places, [short(name) for name in own["setting"]])
            axes.set_xlim(0, 1)
            axes.set_title(f"{own['kind'].iloc[0]}, search {search}", loc="left")
        figure.supxlabel(f"share of the variance of log(validation {results.task.error.label})", fontsize="medium")
    return figure
