"""What all charts of the page share: Plotly figures as plain data, with colours that follow the theme of the page.

A chart is Plotly's own JSON, https://plotly.com/javascript/reference. A colour "var(--name)" is one of the style sheet,
which the page replaces by its value.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sitenet.evaluation.statistics.ranges import log_ticks

Trace = dict[str, Any]
MAIN, CONTRAST, QUIET, TEXT = "var(--main)", "var(--contrast)", "var(--quiet)", "var(--text)"
FEW, MOST = "var(--few)", "var(--most)"  # ends of the scale of densities
# Colours and line styles of several series: Okabe and Ito's colours, in shades of their own for each theme.
SERIES = tuple(f"var(--series-{number})" for number in range(6))
DASHES = ("solid", "dash", "dot")
DIGITS = 5  # significant ones of numbers in charts


@dataclass(frozen=True)
class Chart:
    """One chart.

    Attributes:
        data: Its traces.
        layout: Its axes, height and so on.
        words: What it shows, in a sentence, for readers who do not see it.
    """

    data: list[Trace]
    layout: dict[str, Any]
    words: str = field(default="")

    def to_json(self) -> str:
        """As JSON that may stand inside a script element."""
        text = json.dumps({"data": self.data, "layout": self.layout, "words": self.words}, separators=(",", ":"))
        return text.replace("<", "\\u003c")


def numbers(values: Iterable[float]) -> list[float | None]:
    """Values with `DIGITS` significant digits; None, which Plotly leaves out, for NaN and infinity."""
    return [float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None for value in values]


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis with its title."""
    return {"title": {"text": title}, "automargin": True, **more}


def log_axis(title: str, low: float, high: float) -> dict[str, Any]:
    """A logarithmic axis from `low` to `high`, both positive, with plain numbers."""
    ticks = log_ticks(low, high)
    span = [float(np.log10(low)), float(np.log10(high))]
    return axis(title, type="log", range=span, tickvals=ticks, ticktext=[f"{tick:,.6g}" for tick in ticks])


def style(number: int) -> dict[str, Any]:
    """Line of one of several series."""
    return {"color": SERIES[number % len(SERIES)], "dash": DASHES[number // len(SERIES) % len(DASHES)]}
