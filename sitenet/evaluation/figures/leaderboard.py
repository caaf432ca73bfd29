"""The leaderboard as a figure."""

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from sitenet.evaluation.figures.style import BLUE, FIGURE_STYLE, GREY, number_logs, wrapped
from sitenet.evaluation.results import Results

MANY_TIMES = 20


def leaderboard_figure(results: Results) -> Figure:
    """Score and 95 % interval of each model, with single folds as small points.

    The axis is logarithmic where the largest score is more than `MANY_TIMES` the smallest.
    """
    standings, score = results.standings, results.task.score
    scored = [(i, row) for i, row in enumerate(standings.rows) if row.runs]
    scores = np.array([standings.score(i) for i, _ in scored]).reshape(-1, 3)
    value, places = scores[:, 0], np.arange(len(scored))
    bars = np.stack([value - scores[:, 1], scores[:, 2] - value])
    folds = [(one, y + 0.25) for y, (_, row) in enumerate(scored) for one in row.fold_scores(score.key).values()]
    with mpl.rc_context(FIGURE_STYLE):
        labels = [wrapped(row.model + ("" if standings.is_complete(i) else " (folds missing)")) for i, row in scored]
        lines = [line for label in labels for line in label.split("\n")]
        width = max(6.0, 3.5 + 0.075 * max(map(len, lines), default=0))
        figure = Figure(
            figsize=(width, 0.9 + 0.4 * len(scored) + 0.1 * (len(lines) - len(scored))), layout="constrained"
        )
        axes = figure.subplots()
        axes.errorbar(value, places, xerr=bars, fmt="o", color=BLUE, capsize=3, label="mean over folds, 95 % interval")
        axes.plot(*np.array(folds).reshape(-1, 2).T, ".", color=GREY, label="one fold")
        axes.set_yticks(places, labels)
        axes.set(ylim=(max(len(scored), 1) - 0.5, -0.5), xlabel=f"test {score.header(results.unit)}")
        positive = value[value > 0]
        if score.better == "higher":
            axes.set_xlim(None, 1)
        elif len(positive) and positive.max() > MANY_TIMES * positive.min():
            axes.set_xscale("log")
            number_logs(axes.xaxis)
        else:
            axes.set_xlim(0, None)
        axes.grid(axis="x", color="#E0E0E0", linewidth=0.6)
        figure.legend(loc="outside upper right", ncols=2)
    return figure
