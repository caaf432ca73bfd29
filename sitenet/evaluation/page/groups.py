"""Where a model fails: its error by element, by size of the target, by number of sites, by symmetry, by familiarity."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymatgen.core import Element
from scipy.special import stdtrit

from sitenet.data.manifest import Manifest
from sitenet.evaluation.page.charts import MAIN, QUIET, TEXT, Chart, axis, numbers
from sitenet.settings.elements import SYMBOLS
from sitenet.tasks import Score

SYSTEMS = ("cubic", "hexagonal", "trigonal", "tetragonal", "orthorhombic", "monoclinic", "triclinic", "unknown")
SIZES = (0, 4, 8, 16, 32, 64, np.inf)
FEW = 5  # an element in fewer test crystals has no colour: its mean says little
_BELOW = {"orientation": "h", "y": -0.02, "yanchor": "top"}
ENOUGH = 20  # crystals that a group needs to be named as the worst one


@dataclass(frozen=True)
class Grouping:
    """One way to group the test crystals.

    Attributes:
        key: Its name in the page.
        title: Heading of its chart, in which "{quantity}" stands for the target with its unit.
        of: Function of the errors and the data set that gives each crystal's group, ordered; None where the grouping
            says nothing about the data set.
    """

    key: str
    title: str
    of: Callable[[pd.DataFrame, Manifest], pd.Series | None]


def _by_target(errors: pd.DataFrame, manifest: Manifest) -> pd.Series | None:
    """Zeros, and thirds of the other values; with few different values there are fewer groups."""
    target = errors["target"]
    if manifest.task == "classification":
        return _ordered(target.map({0.0: "class 0", 1.0: "class 1"}), ["class 0", "class 1"])
    others = target[target != 0] if _has_zeros(target, manifest) else target
    edges = np.unique(np.quantile(others, [1 / 3, 2 / 3])) if len(others) else np.array([])
    shown = _told_apart(edges)
    names = [f"to {edge}" for edge in shown] + ([f"above {shown[-1]}"] if shown else ["not 0"])
    groups = pd.Series(np.array(names)[np.searchsorted(edges, target, side="left")], index=errors.index)
    if len(others) < len(target):
        groups[target == 0] = "0"
        names = ["0", *names]
    return _ordered(groups, names)


def _told_apart(values: NDArray[np.float64]) -> list[str]:
    """Different numbers with three digits, or as many more as they need to look different."""
    texts = ([f"{value:.{digits}g}" for value in values] for digits in range(3, 18))
    return next(found for found in texts if len(set(found)) == len(values))


def _has_zeros(target: "pd.Series[float]", manifest: Manifest) -> bool:
    """Whether 0 is a value of its own, as for metals; not where values on both sides of it are equally good."""
    return manifest.non_negative and bool((target == 0).any())


def _by_metal(errors: pd.DataFrame, manifest: Manifest) -> pd.Series | None:
    """Metals have a band gap of 0; other targets have no metals."""
    metal, is_class = errors["target"] == 0, manifest.task == "classification"
    if is_class or "gap" not in manifest.target or metal.all() or not metal.any():
        return None
    return _ordered(metal.map({True: "metals", False: "insulators"}), ["metals", "insulators"])


def _by_sites(errors: pd.DataFrame, manifest: Manifest) -> pd.Series | None:
    names = [f"{low + 1:.0f} to {high:.0f}" for low, high in itertools.pairwise(SIZES[:-1])]
    names.append(f"above {SIZES[-2]}")
    places = np.searchsorted(SIZES[1:-1], errors["n_sites"], side="left")
    return _ordered(pd.Series(np.array(names)[places], index=errors.index), names)


def _by_system(errors: pd.DataFrame, manifest: Manifest) -> pd.Series | None:
    return _ordered(errors["crystal_system"], SYSTEMS)


def _by_seen(errors: pd.DataFrame, manifest: Manifest) -> pd.Series | None:
    names = {True: "formula in training", False: "new formula"}
    return _ordered(errors["seen"].map(names), list(names.values()))


def _ordered(groups: "pd.Series[str]", names: Sequence[str]) -> pd.Series:
    return groups.astype(pd.CategoricalDtype(list(names), ordered=True))


GROUPINGS = (
    Grouping("target", "by reference {quantity}", _by_target),
    Grouping("metals", "metals and insulators", _by_metal),
    Grouping("sites", "by number of sites in the cell", _by_sites),
    Grouping("system", "by crystal system", _by_system),
    Grouping("seen", "by whether training had the formula", _by_seen),
)


def group_errors(errors: pd.DataFrame, manifest: Manifest) -> dict[str, pd.DataFrame]:
    """For each grouping that applies: mean error, margin of its 95 % interval (Student's t) and n of every group."""
    found = {grouping.key: grouping.of(errors, manifest) for grouping in GROUPINGS}
    return {key: _summary(errors["error"], groups) for key, groups in found.items() if groups is not None}


def _summary(error: "pd.Series[float]", groups: pd.Series) -> pd.DataFrame:
    table = error.groupby(groups, observed=True).agg(["mean", "std", "size"])
    table.columns = pd.Index(["error", "std", "n"])
    several = table["n"].where(table["n"] > 1)
    table["margin"] = stdtrit(several - 1, 0.975) * table["std"] / np.sqrt(several)
    return table.drop(columns="std")


def worst_group(groups: Mapping[str, pd.DataFrame]) -> tuple[str, str, pd.Series] | None:
    """The group with the largest error for certain, by the lower end of its interval: grouping, name and summary."""
    found = [
        (row["error"] - row["margin"], key, str(name), row)
        for key, table in groups.items()
        for name, row in table[table["n"] >= ENOUGH].iterrows()
    ]
    return max(found, key=lambda entry: entry[0])[1:] if found else None


def group_chart(table: pd.DataFrame, title: str, overall: float, score: Score, unit: str) -> Chart:
    """A bar with its 95 % interval for each group; the dotted line is the error of all crystals."""
    margin = table["margin"].fillna(0)
    counts = [f"{name}<br>n = {n:,}" for name, n in zip(table.index, table["n"], strict=True)]
    bars = {
        "type": "bar",
        "x": counts,
        "y": numbers(table["error"]),
        "error_y": {
            "type": "data",
            "array": numbers(margin),
            "arrayminus": numbers(np.minimum(margin, table["error"])),  # no error is below zero
            "color": TEXT,
            "thickness": 1,
        },
        "marker": {"color": MAIN},
        "hovertemplate": f"%{{x}}<br>{score.label} {score.amount('%{y:.3g}', escape(unit))}<extra></extra>",
    }
    line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": overall, "y1": overall}
    layout = {
        "title": {"text": title, "font": {"size": 14}},
        "xaxis": {"type": "category", "automargin": True, "tickangle": 0 if len(table) < 5 else -45},
        "yaxis": axis(score.header(unit), rangemode="tozero"),
        "shapes": [line | {"line": {"color": TEXT, "dash": "dot", "width": 1}}],
        "height": 340,
    }
    listed = "; ".join(
        f"{n} {error:.3g} ({count:,})" for n, error, count in zip(table.index, table["error"], table["n"], strict=True)
    )
    return Chart([bars], layout, f"{score.label} {title}{_in(score, unit)}, with the number of crystals: {listed}.")


def _in(score: Score, unit: str) -> str:
    return f", in {unit}" if score.has_unit else ""


def element_chart(errors: pd.DataFrame, score: Score, unit: str) -> Chart:
    """The periodic table; the colour of an element is the error of the test crystals that contain it."""
    table = element_errors(errors)
    found = {str(symbol): (float(error), int(n)) for symbol, error, n in table.itertuples()}
    z: list[list[float | None]] = [[None] * 18 for _ in range(9)]
    text, hover = ([[""] * 18 for _ in range(9)] for _ in range(2))
    for number, symbol in enumerate(SYMBOLS, start=1):
        row, column = _place(number)
        error, n = found.get(symbol, (np.nan, 0))
        text[row][column] = symbol
        known = f"{score.label} {score.amount(f'{error:.3g}', escape(unit))}, " if n else ""
        hover[row][column] = f"<b>{symbol}</b><br>{known}{n:,} test crystals"
        if n >= FEW:
            z[row][column] = float(f"{error:.4g}")
    data = {
        "type": "heatmap",
        "z": z,
        "text": text,
        "customdata": hover,
        "texttemplate": "%{text}",
        "hovertemplate": "%{customdata}<extra></extra>",
        "hoverongaps": True,
        "colorscale": "Cividis",
        "xgap": 1,
        "ygap": 1,
        "colorbar": {"title": {"text": score.header(unit)}, "thickness": 12} | _BELOW,
    }
    hidden = {"visible": False, "fixedrange": True}
    layout = {
        "xaxis": hidden,
        "yaxis": hidden | {"autorange": "reversed"},
        "height": 420,
        "margin": {"l": 0, "r": 0, "t": 10, "b": 10},
        "annotations": _uncoloured(z),
    }
    common = table[table["n"] >= ENOUGH].sort_values("error", ascending=False)
    listed = ", ".join(f"{symbol} {error:.3g}" for symbol, error in common["error"].head(5).items())
    words = f"{score.label} by element{_in(score, unit)}; largest: {listed or 'no element is in 20 crystals'}."
    return Chart([data], layout, words)


def _uncoloured(z: list[list[float | None]]) -> list[dict[str, object]]:
    """Symbols of elements without a colour: Plotly writes no text on empty fields."""
    places = {symbol: _place(number) for number, symbol in enumerate(SYMBOLS, start=1)}
    return [
        {"x": column, "y": row, "text": symbol, "showarrow": False, "font": {"color": QUIET}}
        for symbol, (row, column) in places.items()
        if z[row][column] is None
    ]


def element_errors(errors: pd.DataFrame) -> pd.DataFrame:
    """Mean error and n of the crystals that contain each element, by its symbol."""
    symbols = errors["formula"].str.findall("[A-Z][a-z]?").explode()
    joined = pd.DataFrame({"symbol": symbols, "error": errors["error"].reindex(symbols.index)})
    table = joined.groupby("symbol")["error"].agg(["mean", "size"])
    table.columns = pd.Index(["error", "n"])
    return table


def _place(number: int) -> tuple[int, int]:
    """Row and column in the periodic table; lanthanides and actinides stand below it, from the third column."""
    element = Element.from_Z(number)
    if element.is_lanthanoid or element.is_actinoid:
        return element.row + 1, 2 + number - (57 if element.is_lanthanoid else 89)
    return element.row - 1, element.group - 1
