"""Weights of attention against distance, for every block and head of one trial."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from sitenet.evaluation.attention.analysis import AttentionAnalysis
from sitenet.evaluation.attention.record import LOG_STEP, STEP, AttentionOfRun
from sitenet.evaluation.figures.style import FIGURE_STYLE

MAX_BLOCKS, MAX_HEADS = 8, 8
SMALLEST = 1e-4  # share of a column that still has a colour
SEEN = 1e-3  # share of the pairs that may lie beyond the ends of the axis of weights


def attention_maps_figure(analysis: AttentionAnalysis, trial: str) -> Figure:
    """A panel for each block and head of the trial's first run: each column is the distribution at one distance."""
    run = next(iter(analysis.runs.get(trial, ())), None)
    with mpl.rc_context(FIGURE_STYLE | {"font.size": 8}):
        if run is None or not len(run.maps):
            return Figure(figsize=(3, 2))
        shown = run.maps[(run.maps["block"] <= MAX_BLOCKS) & (run.maps["head"] <= MAX_HEADS)]
        n_blocks, n_heads = int(shown["block"].max()), int(shown["head"].max())
        figure = Figure(figsize=(1.1 + 1.45 * n_heads, 1.3 + 1.35 * n_blocks), layout="constrained")
        panels = figure.subplots(n_blocks, n_heads, sharex=True, sharey=True, squeeze=False)
        low, high = weight_range(shown)
        for block, head, self_weight in run.heads[["block", "head", "self_weight"]].to_numpy():
            own = shown[(shown["block"] == block) & (shown["head"] == head)]
            if not len(own):
                continue
            axes: Axes = panels[int(block) - 1, int(head) - 1]
            distances, log_weights, share = column_shares(own)
            mesh = axes.pcolormesh(
                distances, log_weights, np.where(share > 0, share, np.nan), norm=LogNorm(SMALLEST, 1), rasterized=True
            )
            axes.set_title(f"block {block:.0f}, head {head:.0f}\nself {self_weight:.2f}", loc="left", fontsize=7)
        panels[0, 0].set(ylim=(low, high), xlim=(0, None))
        figure.colorbar(mesh, ax=panels, label="share of the pairs at a distance", shrink=0.8, aspect=40)
        figure.supxlabel("distance (angstrom)", fontsize="medium")
        figure.supylabel("log10 of the weight of a site", fontsize="medium")
        figure.suptitle(_title(analysis, trial, run), x=0, ha="left", fontsize=9)
    return figure


def column_shares(cells: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges of the bins of distance (D + 1,) and log weight (W + 1,), and (W, D) shares that sum to 1 over a column."""
    table = cells.pivot_table(index="log_weight", columns="distance", values="pairs", aggfunc="sum", fill_value=0)
    found, rows = table.columns.to_numpy(dtype=float), table.index.to_numpy(dtype=float)
    distances = np.arange(round(found[-1] / STEP) + 1) * STEP
    log_weights = rows[0] + np.arange(round((rows[-1] - rows[0]) / LOG_STEP) + 1) * LOG_STEP
    filled = np.zeros((len(log_weights), len(distances)))
    filled[np.ix_(_numbers((rows - rows[0]) / LOG_STEP), _numbers(found / STEP))] = table.to_numpy()
    total = filled.sum(axis=0)
    share = filled / np.where(total > 0, total, 1)
    return np.append(distances, distances[-1] + STEP), np.append(log_weights, log_weights[-1] + LOG_STEP), share


def weight_range(cells: pd.DataFrame) -> tuple[float, float]:
    """Ends of the axis of log weights, beyond which nearly no pairs lie."""
    counts = cells.groupby("log_weight")["pairs"].sum().sort_index()
    cumulated, places = np.cumsum(counts.to_numpy(dtype=float)), counts.index.to_numpy(dtype=float)
    return float(places[cumulated > SEEN * cumulated[-1]][0]), float(places[-1]) + LOG_STEP


def _numbers(places: np.ndarray) -> np.ndarray:
    """Places of bins as integers."""
    return np.round(places).astype(int)


def _title(analysis: AttentionAnalysis, trial: str, run: AttentionOfRun) -> str:
    key, n_blocks, n_heads = run.record.key, run.heads["block"].max(), run.heads["head"].max()
    title = f"{analysis.names[trial]}, fold {key.fold}, seed {key.seed}: {run.record.n_crystals:,} test crystals"
    hidden = n_blocks > MAX_BLOCKS or n_heads > MAX_HEADS
    return f"{title}; the first of {n_blocks} blocks and {n_heads} heads" if hidden else title
