"""Predicted against reference values."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure

from sitenet.evaluation.figures.style import BLUE, FIGURE_STYLE, ORANGE, panel_grid, wrapped
from sitenet.evaluation.results import Results
from sitenet.evaluation.runs import LeaderboardRow, Run, mean_predictions
from sitenet.evaluation.statistics.ranges import parity_range
from sitenet.evaluation.tables.rounding import measured

_MANY_POINTS = 2500
_DENSITY = ListedColormap(mpl.colormaps["Blues"](np.linspace(0.3, 1, 256)))  # pale where there are few


def parity_figure(results: Results) -> Figure:
    """Predicted against true values of all test crystals, one panel per model, best first.

    Points are the predictions of every seed, or of the ensemble; if there are many, their density is shown. The MAE
    of a panel is that of the leaderboard.
    """
    standings, unit = results.standings, results.unit
    rows = [(i, row) for i, row in enumerate(standings.rows) if row.runs]
    with mpl.rc_context(FIGURE_STYLE):
        figure, panels = panel_grid(max(len(rows), 1))
        points = [shown_predictions(row) for _, row in rows]
        limits = _common_limits(points)
        panels[0].set(xlim=limits, ylim=limits)
        for axes, (i, row), frame in zip(panels, rows, points, strict=False):
            _draw_parity(axes, frame, limits)
            axes.set_title(f"{wrapped(row.model)}\nMAE {measured(*standings.score(i))} {unit}", loc="left")
        _add_colour_bar(figure, panels)
        name = results.manifest.target.replace("_", " ")
        figure.supxlabel(f"reference {name} ({unit})", fontsize="medium")
        figure.supylabel(f"predicted {name} ({unit})", fontsize="medium")
    return figure


def run_parity_figure(run: Run) -> Figure:
    """Predicted against true values of one scored run's test crystals."""
    result, frame = run.result, run.scored_predictions()
    name = result.target.replace("_", " ")
    with mpl.rc_context(FIGURE_STYLE):
        figure, (axes,) = panel_grid(1)
        limits = _common_limits([frame])
        axes.set(xlim=limits, ylim=limits)
        _draw_parity(axes, frame, limits)
        _add_colour_bar(figure, [axes])
        axes.set(xlabel=f"reference {name} ({result.unit})", ylabel=f"predicted {name} ({result.unit})")
    return figure


def shown_predictions(row: LeaderboardRow) -> pd.DataFrame:
    """(target, prediction) of the row's scored test crystals of all folds, for each seed or for the ensemble."""
    if row.is_ensemble:
        return pd.concat([mean_predictions(runs) for runs in row.runs.values()]).dropna(subset="target")
    every = pd.concat([run.scored_predictions() for run in row.all_runs])
    return (
        every.reset_index().drop_duplicates().set_index("id")
    )  # models without randomness predict the same with every seed


def _common_limits(frames: Sequence[pd.DataFrame]) -> tuple[float, float]:
    both = pd.concat([pd.DataFrame(columns=["target", "prediction"], dtype=float), *frames])
    return parity_range(both["target"], both["prediction"])


def _draw_parity(axes: Axes, frame: pd.DataFrame, limits: tuple[float, float]) -> None:
    """Draws one panel; points outside the limits stand as triangles at its edge, and a text counts them."""
    target, prediction = frame["target"].to_numpy(), frame["prediction"].to_numpy()
    if len(frame) > _MANY_POINTS:
        axes.hexbin(
            target,
            prediction,
            gridsize=(60, 35),  # a ratio near sqrt(3) makes the hexagons regular
            extent=(*limits, *limits),
            norm=LogNorm(),
            cmap=_DENSITY,
            linewidths=0.1,
            rasterized=True,
        )
    else:
        axes.scatter(target, prediction, s=8, color=BLUE, alpha=0.35, linewidths=0)
    axes.axline((0, 0), slope=1, color="black", linewidth=0.8)
    axes.set_aspect("equal")
    low, high = limits
    outside = ~(frame["target"].between(low, high) & frame["prediction"].between(low, high)).to_numpy()
    edge = np.clip(np.stack([target, prediction])[:, outside], low, high)
    if outside.any():
        axes.plot(*edge, "^", color=ORANGE, markersize=5, clip_on=False)
        axes.text(0.97, 0.03, f"{outside.sum()} outside", color=ORANGE, ha="right", transform=axes.transAxes)


def _add_colour_bar(figure: Figure, panels: Sequence[Axes]) -> None:
    """One scale of colours for all panels that show densities."""
    found = [c for axes in panels for c in axes.collections if isinstance(c, PolyCollection)]
    if not found:
        return
    scale = LogNorm(1, max(float(np.asarray(bins.get_array()).max()) for bins in found))
    for bins in found:
        bins.set_norm(scale)
    figure.colorbar(found[0], ax=list(panels), label="crystals", shrink=0.6, aspect=30)
