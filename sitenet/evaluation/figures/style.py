"""Style of all figures: colours, panels, axes, and reproducible files."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import Locator, NullLocator, StrMethodFormatter

from sitenet.evaluation.statistics.ranges import log_ticks
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


def save_figure(figure: Figure, paths: Sequence[Path | str]) -> None:
    """Writes the figure in the format of each path's suffix, without date and version: files are reproducible.

    Text in SVG is text, which can be searched and copied.
    """
    for path in paths:
        suffix = Path(path).suffix.lstrip(".")
        metadata = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}[suffix]
        with replacing(path) as temporary, mpl.rc_context({"svg.hashsalt": "sitenet", "svg.fonttype": "none"}):
            figure.savefig(temporary, format=suffix, dpi=150, metadata=metadata)


def wrapped(name: str, width: int = 40) -> str:
    """A name on lines of at most so many characters."""
    return "\n".join(textwrap.wrap(name, width, break_on_hyphens=False))


def panel_grid(n: int, height: float = PANEL) -> tuple[Figure, list[Axes]]:
    """A figure with n panels that share their axes, row by row, at most three in a row."""
    columns = {1: 1, 2: 2, 4: 2}.get(n, 3)
    rows = -(-n // columns)
    figure = Figure(figsize=(PANEL * columns + 0.6, height * rows + 0.8), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for unused in axes[n:]:
        unused.remove()
    for lowest in axes[max(n - columns, 0) : n]:
        lowest.tick_params(labelbottom=True)  # also above an empty place
    return figure, list(axes[:n])


def log_errors(axes: Axes) -> None:
    """A logarithmic y axis with plain numbers, several in each decade."""
    axes.set_yscale("log")
    number_logs(axes.yaxis)


def number_logs(axis: Axis) -> None:
    """Plain numbers on a logarithmic axis, at least three of them."""
    axis.set_major_locator(LogNumbers())
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_locator(NullLocator())


class LogNumbers(Locator):
    """Places of the numbers on a logarithmic axis, of `log_ticks`."""

    def __call__(self) -> list[float]:
        """Those of the axis as it is now."""
        assert self.axis is not None
        return self.tick_values(*self.axis.get_view_interval())

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        """Those between two positive values."""
        return log_ticks(min(vmin, vmax), max(vmin, vmax))
