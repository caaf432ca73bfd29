"""What models lose against another benchmark as a figure."""

import matplotlib as mpl
from matplotlib.figure import Figure

from sitenet.evaluation.figures.style import BLUE, FIGURE_STYLE, GREY, wrapped
from sitenet.evaluation.results import Results
from sitenet.evaluation.shift import shifts, sides
from sitenet.evaluation.tables.rounding import measured


def shift_figure(results: Results) -> Figure:
    """Errors of each model here and in the other benchmark, joined by a line, with their difference at the right."""
    found, names = shifts(results), sides(results)
    places = range(len(found))
    with mpl.rc_context(FIGURE_STYLE):
        figure = Figure(figsize=(8.0, 0.9 + 0.4 * len(found)), layout="constrained")
        axes = figure.subplots()
        axes.hlines(places, [s.other_mae for s in found], [s.mae for s in found], color=GREY, linewidth=1.5, zorder=1)
        axes.plot([s.other_mae for s in found], places, "o", color=GREY, markerfacecolor="white", label=names.there)
        axes.plot([s.mae for s in found], places, "o", color=BLUE, label=names.here)
        axes.set_yticks(places, [wrapped(s.model) for s in found])
        axes.set(ylim=(max(len(found), 1) - 0.5, -0.5), xlabel=f"test {results.task.error.header(results.unit)}")
        axes.set_xlim(0, 1.05 * max((error for s in found for error in (s.mae, s.other_mae)), default=1))
        axes.grid(axis="x", color="#E0E0E0", linewidth=0.6)
        right = axes.secondary_yaxis("right")
        right.set_yticks(places, [measured(*s.difference, sign="+") for s in found])
        right.spines["right"].set_visible(False)
        right.tick_params(length=0)
        figure.legend(loc="outside upper right", ncols=2)
    return figure
