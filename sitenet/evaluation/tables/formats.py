"""Formats of table cells; anything missing is shown as a dash."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

MISSING = "-"
Format = Callable[..., str]


def column(table: pd.DataFrame, form: Format, *names: str) -> list[str]:
    """`form` applied to the values of the named columns in each row; a dash where one is missing."""
    rows = zip(*(table[name] for name in names), strict=True)
    return [MISSING if any(pd.isna(value) for value in row) else form(*row) for row in rows]


def error_digits(errors: pd.Series) -> int:
    """Decimals that show three significant digits of the smallest positive error."""
    positive = errors[errors > 0]
    return int(np.clip(2 - math.floor(math.log10(positive.min())), 0, 15)) if len(positive) else 3


def text(value: Any) -> str:
    """Text, unchanged."""
    return str(value)


def integer(value: Any) -> str:
    """A count with a thousands separator: 1,056."""
    return f"{int(value):,}"


def fixed(digits: int) -> Format:
    """A number with a fixed number of decimals."""
    return lambda value: f"{value:,.{digits}f}"


def signed(digits: int) -> Format:
    """A number with its sign and a fixed number of decimals."""
    return lambda value: f"{value:+,.{digits}f}"


def interval(digits: int, sign: str = "") -> Format:
    """An interval: [0.45, 0.52]; `sign` "+" shows the signs."""
    return lambda low, high: f"[{low:{sign},.{digits}f}, {high:{sign},.{digits}f}]"


def difference(digits: int) -> Format:
    """A signed difference with its interval."""
    return lambda value, low, high: f"{signed(digits)(value)} {interval(digits, '+')(low, high)}"


def out_of(part: Any, whole: Any) -> str:
    """A count and its total: 4 of 5."""
    return f"{integer(part)} of {integer(whole)}"


def training_crystals(fitted: Any, validation: Any, whole: Any) -> str:
    """Numbers of training and validation crystals and their total: 761 + 84 of 845."""
    used = f"{integer(fitted)} + {integer(validation)}" if validation else integer(fitted)
    return f"{used} of {integer(whole)}"


def span(low: Any, high: Any) -> str:
    """A count, or its range: 1,024 to 2,048."""
    return integer(low) if low == high else f"{integer(low)} to {integer(high)}"


def markdown(frame: pd.DataFrame, text_columns: int) -> str:
    """A Markdown table of text cells, the first `text_columns` columns aligned left, numbers right."""
    align = ["left"] * text_columns + ["right"] * (frame.shape[1] - text_columns)
    return frame.astype(str).to_markdown(index=False, colalign=align, disable_numparse=True)
