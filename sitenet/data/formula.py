"""Reduced formulas, by which crystals of one composition are kept together, and as people write them."""

import warnings
from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition, Element


def reduced_formula(atomic_numbers: NDArray[np.integer]) -> str:
    """The composition in smallest whole numbers, by atomic number: "O3Fe2" for hematite; takes (N,) sites."""
    elements, counts = np.unique(atomic_numbers, return_counts=True)
    counts //= np.gcd.reduce(counts)
    pairs = zip(elements.tolist(), counts.tolist(), strict=True)
    return "".join(f"{Element.from_Z(z).symbol}{n if n > 1 else ''}" for z, n in pairs)


def standard_formula(atomic_numbers: Iterable[int]) -> str:
    """The reduced formula as pymatgen writes it, elements by electronegativity: "Fe2O3" for hematite."""
    counts = Counter(atomic_numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # some elements have no electronegativity, and stand last
        return Composition({Element.from_Z(z): n for z, n in counts.items()}).reduced_formula
