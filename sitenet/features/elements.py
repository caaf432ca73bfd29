"""Elemental properties: raw Magpie values from the table in this folder."""

import csv
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TABLE = Path(__file__).with_name("elements.csv")
N_ELEMENTS = 118


def elemental_properties(names: Sequence[str]) -> NDArray[np.float64]:
    """Raw Magpie properties of every element, in Magpie's units.

    An element without a tabulated value gets the mean over the elements that have one, as in matminer's
    `MagpieData(impute_nan=True)`.

    Args:
        names: Magpie's names of the F properties, e.g. "Electronegativity".

    Returns:
        (119, F) values, row Z for atomic number Z; row 0 stands for no element and is zero.

    Raises:
        ValueError: A name is not in the table.
    """
    table = _table()
    unknown = [name for name in names if name not in table]
    if unknown:
        raise ValueError(f"unknown elemental properties {unknown}; valid ones are {sorted(table)}")
    columns = [table[name] for name in names]
    return np.stack(columns, axis=1) if columns else np.zeros((N_ELEMENTS + 1, 0))


def standardised_properties(names: Sequence[str]) -> NDArray[np.float64]:
    """(119, F) `elemental_properties` with mean 0 and standard deviation 1 over the elements; row 0 is zero."""
    table = elemental_properties(names)[1:]
    scaled = (table - table.mean(axis=0)) / table.std(axis=0, ddof=1)
    return np.concatenate([np.zeros((1, len(names))), scaled])


@cache
def _table() -> dict[str, NDArray[np.float64]]:
    with TABLE.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return {name: _filled([row[name] for row in rows]) for name in rows[0]}


def _filled(cells: Sequence[str]) -> NDArray[np.float64]:
    values = np.array([float(cell) if cell else np.nan for cell in cells])
    return np.concatenate([[0.0], np.where(np.isnan(values), np.nanmean(values), values)])
