"""Predicted against reference values."""

from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from sitenet.evaluation.figures.style import BLUE, FIGURE_STYLE, panel_grid
from sitenet.evaluation.results import Results
from sitenet.evaluation.runs import LeaderboardRow, Run, mean_predictions
from sitenet.evaluation.tables.rounding import measured

_MANY_POINTS = 2500


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
        limits = _common_limits(points) if points else (0.0, 1.0)
        panels[0].set(xlim=limits, ylim=limits)
        for axes, (i, row), frame in zip(panels, rows, points, strict=False):
            _draw_parity(axes, frame, limits)
            axes.set_title(f"{row.model}\nMAE {measured(*standings.score(i))} {unit}", loc="left")
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
    low = min(frame.to_numpy().min() for frame in frames)
    high = max(frame.to_numpy().max() for frame in frames)
    margin = 0.03 * (high - low)
    return low - margin, high + margin


def _draw_parity(axes: Axes, frame: pd.DataFrame, limits: tuple[float, float]) -> None:
    target, prediction = frame["target"].to_numpy(), frame["prediction"].to_numpy()
    if len(frame) > _MANY_POINTS:
        axes.hexbin(
            target,
            prediction,
            gridsize=(60, 35),  # a ratio near sqrt(3) makes the hexagons regular
            extent=(*limits, *limits),
            norm=LogNorm(),
            cmap="viridis_r",
            linewidths=0.1,
            rasterized=True,
        )
    else:
        axes.scatter(target, prediction, s=8, color=BLUE, alpha=0.35, linewidths=0)
    axes.axline((0, 0), slope=1, color="black", linewidth=0.8)
    axes.set_aspect("equal")
