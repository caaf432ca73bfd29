"""Numbers for people, rounded by their uncertainty; light to import, as the end of a run uses it.

A value with an interval has as many decimals as show two significant digits of half the interval's width, and so have
the interval's ends: 0.5032 with [0.4719, 0.5334] is 0.503 [0.472, 0.533]. This is the rule of the Guide to the
Expression of Uncertainty in Measurement (JCGM 100:2008, 7.2.6). A value without an interval has three significant
digits. Numbers of more than `MOST_PLACES` decimals have exponents: 8.2e-11.
"""

import math

MISSING = "-"
MOST_PLACES = 8
_UNITS = (("s", 60), ("min", 60), ("h", 24), ("d", math.inf))


def decimals(uncertainty: float, digits: int = 2) -> int:
    """Decimals that show so many significant digits; negative where whole tens or hundreds are enough."""
    return digits - 1 - math.floor(math.log10(uncertainty))


def places(value: float, low: float | None, high: float | None) -> int:
    """Decimals of a value with an interval, or without one."""
    if low is not None and high is not None and high > low:
        return decimals((high - low) / 2)
    return decimals(abs(value), 3) if value and math.isfinite(value) else 2


def rounded(value: float, places: int, sign: str = "") -> str:
    """A number with so many decimals; `sign` "+" shows its sign."""
    if places > MOST_PLACES and value:
        digits = max(places + math.floor(math.log10(abs(value))), 0)
        return f"{value:{sign}.{digits}e}"
    return f"{round(value, places) + 0.0:{sign},.{max(places, 0)}f}"


def measured(value: float | None, low: float | None = None, high: float | None = None, sign: str = "") -> str:
    """A value with its interval, if it has one: "0.503 [0.472, 0.533]"; a dash where there is no value."""
    if value is None or math.isnan(value):
        return MISSING
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return rounded(value, places(value, None, None), sign)
    n = places(value, low, high)
    return f"{rounded(value, n, sign)} [{rounded(low, n, sign)}, {rounded(high, n, sign)}]"


def duration(seconds: float | None) -> str:
    """A time in the unit that suits it: "37 s", "3.5 min", "1.2 h", "2.1 d"."""
    if seconds is None or math.isnan(seconds):
        return MISSING
    for unit, size in _UNITS:
        if round(seconds, 0 if unit == "s" else 1) < size:
            break
        seconds /= size
    return f"{seconds:,.0f} {unit}" if unit == "s" else f"{seconds:,.1f} {unit}"
