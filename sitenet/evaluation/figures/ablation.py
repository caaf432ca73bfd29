"""The ablation as a figure: the effect of every change of settings."""

import textwrap
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sitenet.config.trial import short
from sitenet.evaluation.ablation import Change, compare_trials, plain
from sitenet.evaluation.figures.style import BLUE, FIGURE_STYLE, GREY, ORANGE, wrapped
from sitenet.evaluation.results import Results

MAX_ROWS = 60  # for each reference
DARK = "#404040"
VERDICTS = {BLUE: "better", ORANGE: "worse", DARK: "undecided at 95 %"}
FARTHEST = 10  # times the median difference: what is farther away is a number at the edge
TITLE, _LABEL_WIDTH = 55, 44  # characters


def ablation_figure(results: Results) -> Figure:
    """Difference in test error to the reference with its 95 % interval, one row per trial, best first.

    There is one panel per reference: a model kind, or a kind and a number of training crystals. Small points are pairs
    of runs, one per fold and seed. A panel shows at most `MAX_ROWS` trials, the best ones, and its title says so.
    """
    changes, score = compare_trials(results.runs, results.planned.grid, results.groups), results.task.crystal_error
    references = [change for change in changes if change.is_reference and _others(changes, change)]
    rows = [
        [change for change in _others(changes, reference) if not np.isnan(change.difference.value)]
        for reference in references
    ]
    heights = [max(1, min(len(own), MAX_ROWS)) for own in rows]
    lines = [line for own in rows for change in own[:MAX_ROWS] for line in _label(change).split("\n")]
    width = max(6.5, 4.0 + 0.075 * max(map(len, lines), default=0))
    with mpl.rc_context(FIGURE_STYLE):
        figure = Figure(figsize=(width, 0.9 + sum(0.6 + 0.34 * height for height in heights)), layout="constrained")
        panels = figure.subplots(len(rows), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for axes, reference, own in zip(panels, references, rows, strict=True):
            _draw_rows(axes, own[:MAX_ROWS])
            axes.set_title(_title(reference, own, results), loc="left")
        _limit(list(panels), [own[:MAX_ROWS] for own in rows])
        panels[-1].set_xlabel(f"difference in test {score.header(results.unit)}, 95 % interval")
        figure.legend(handles=_legend(), loc="outside upper right", ncols=4)
    return figure


def _others(changes: Sequence[Change], reference: Change) -> list[Change]:
    return [change for change in changes if change.reference == reference.trial and not change.is_reference]


def _title(reference: Change, rows: Sequence[Change], results: Results) -> str:
    name = ", ".join(filter(None, [reference.kind, reference.among]))
    if not rows:
        return f"{name}: no test scores to compare with trial {reference.trial}"
    error = results.task.crystal_error.amount(f"{reference.test_error:.3g}", results.unit)
    title = wrapped(f"{name} against trial {reference.trial} ({error})", TITLE)
    return title + (f"\nthe best {MAX_ROWS} of {len(rows)} trials" if len(rows) > MAX_ROWS else "")


def _draw_rows(axes: Axes, rows: Sequence[Change]) -> None:
    for y, change in enumerate(rows):
        value, low, high = change.difference
        axes.plot(list(change.by_run.values()), [y + 0.3] * len(change.by_run), ".", color=GREY, markersize=4)
        if not np.isnan(low):
            axes.plot([low, high], [y, y], color=_verdict(change), linewidth=1.6, solid_capstyle="butt")
        axes.plot(value, y, "o", color=_verdict(change), markersize=5)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [_label(change) for change in rows])
    axes.set_ylim(max(len(rows), 1) - 0.4, -0.6)
    axes.grid(axis="x", color="#E0E0E0", linewidth=0.6)


def _limit(panels: Sequence[Axes], rows: Sequence[Sequence[Change]]) -> None:
    """Keeps a few extreme differences from stretching the axis; their values stand at its edge."""
    ends = np.array([end for own in rows for change in own for end in change.difference if not np.isnan(end)])
    if not len(ends):
        return
    reach = FARTHEST * float(np.median(np.abs(ends))) or np.inf
    inside = ends[np.abs(ends) <= reach]
    low, high = float(min(inside.min(), 0)), float(max(inside.max(), 0))
    margin = 0.05 * (high - low) or 1.0
    panels[0].set_xlim(low - margin, high + margin)
    for axes, own in zip(panels, rows, strict=True):
        for y, change in enumerate(own):
            value = change.difference.value
            if abs(value) > reach:
                side = "right" if value > 0 else "left"
                edge = high + margin if value > 0 else low - margin
                axes.text(edge, y, f" {value:+.3g} ", ha=side, va="bottom", color=_verdict(change))


def _verdict(change: Change) -> str:
    """Colour that shows whether the whole interval lies on one side of the reference."""
    if change.difference.high < 0:
        return BLUE
    return ORANGE if change.difference.low > 0 else DARK


def _label(change: Change) -> str:
    """The settings that differ, on at most two lines that break between settings."""
    settings = [f"{short(name)}~=~{plain(value)}" for name, (_, value) in change.settings.items()]
    lines = textwrap.wrap(", ".join(settings), _LABEL_WIDTH, max_lines=2, placeholder=" ...", break_on_hyphens=False)
    return "\n".join(lines).replace("~", " ")


def _legend() -> list[Line2D]:
    intervals = [Line2D([], [], color=color, marker="o", markersize=5, label=name) for color, name in VERDICTS.items()]
    return [*intervals, Line2D([], [], color=GREY, marker=".", linestyle="", label="one fold and seed")]
