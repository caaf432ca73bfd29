"""Figures of a benchmark; the same input gives the same bytes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from sitenet.evaluation.cells import error_digits
from sitenet.evaluation.runs import Entry, Run, mean_predictions
from sitenet.evaluation.standings import Standings
from sitenet.files import replacing

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8A8A8A"  # Okabe and Ito's palette, safe for colour-blind readers
PANEL = 3.0  # inches
FIGURE_STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
_MANY_POINTS = 2500


def save_figure(figure: Figure, paths: Sequence[Path | str]) -> None:
    """Writes the figure in the format of each path's suffix, without a date or a version."""
    for path in paths:
        suffix = Path(path).suffix.lstrip(".")
        metadata = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}[suffix]
        with replacing(path) as temporary, mpl.rc_context({"svg.hashsalt": "sitenet"}):
            figure.savefig(temporary, format=suffix, dpi=150, metadata=metadata)


def panel_grid(n: int, height: float = PANEL) -> tuple[Figure, list[Axes]]:
    """A figure with n panels that share their axes, row by row, at most three in a row."""
    columns = {1: 1, 2: 2, 4: 2}.get(n, 3)
    rows = -(-n // columns)
    figure = Figure(figsize=(PANEL * columns + 0.6, height * rows + 0.8), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for unused in axes[n:]:
        unused.remove()
    return figure, list(axes[:n])


def log_errors(axes: Axes) -> None:
    """A logarithmic y axis with plain numbers, several in each decade."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 6, 8)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def parity_figure(standings: Standings, target: str, unit: str) -> Figure:
    """Predicted against true values of all test crystals, one panel a model, best first.

    Points are the predictions of every seed, or of the ensemble. Many are shaded by density. The MAE of a panel is
    that of the leaderboard.
    """
    entries = [(i, entry) for i, entry in enumerate(standings.entries) if entry.runs]
    digits = error_digits(pd.Series([standings.score(i).value for i, _ in entries], dtype=float))
    with mpl.rc_context(FIGURE_STYLE):
        figure, panels = panel_grid(max(len(entries), 1))
        points = [shown_predictions(entry) for _, entry in entries]
        limits = _common_limits(points) if points else (0.0, 1.0)
        panels[0].set(xlim=limits, ylim=limits)
        for axes, (i, entry), frame in zip(panels, entries, points, strict=False):
            score = standings.score(i)
            _draw_parity(axes, frame, limits)
            interval = f"[{score.low:.{digits}f}, {score.high:.{digits}f}]"
            axes.set_title(f"{entry.model}\nMAE {score.value:.{digits}f} {unit} {interval}", loc="left")
        name = target.replace("_", " ")
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


def shown_predictions(entry: Entry) -> pd.DataFrame:
    """(target, prediction) of the entry's scored test crystals of all folds, for each seed or for the ensemble."""
    if entry.is_ensemble:
        return pd.concat([mean_predictions(runs) for runs in entry.runs.values()]).dropna(subset="target")
    every = pd.concat([run.scored_predictions() for run in entry.all_runs])
    return every.reset_index().drop_duplicates().set_index("id")  # models without randomness repeat theirs


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


def interval_figure(standings: Standings, unit: str) -> Figure:
    """The leaderboard as a chart: score and 95 % interval of each model, and its folds as small points."""
    entries = [(i, entry) for i, entry in enumerate(standings.entries) if entry.runs]
    scores = np.array([standings.score(i) for i, _ in entries]).reshape(-1, 3)
    value, rows = scores[:, 0], np.arange(len(entries))
    bars = np.stack([value - scores[:, 1], scores[:, 2] - value])
    folds = [(mae, row + 0.25) for row, (_, e) in enumerate(entries) for mae in e.fold_scores("mae").values()]
    with mpl.rc_context(FIGURE_STYLE):
        figure = Figure(figsize=(6.0, 0.9 + 0.4 * len(entries)), layout="constrained")
        axes = figure.subplots()
        axes.errorbar(value, rows, xerr=bars, fmt="o", color=BLUE, capsize=3, label="mean over folds, 95 % interval")
        axes.plot(*np.array(folds).reshape(-1, 2).T, ".", color=GREY, label="one fold")
        axes.set_yticks(rows, [e.model + ("" if i < standings.n_ranked else " (folds missing)") for i, e in entries])
        axes.set(xlim=(0, None), ylim=(max(len(entries), 1) - 0.5, -0.5), xlabel=f"test MAE ({unit})")
        axes.grid(axis="x", color="#E0E0E0", linewidth=0.6)
        figure.legend(loc="outside upper right", ncols=2)
    return figure
