"""Reduced formulas, by which crystals of one composition are kept together."""

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element


def reduced_formula(atomic_numbers: NDArray[np.integer]) -> str:
    """The composition in smallest whole numbers, by atomic number: "O3Fe2" for hematite; takes (N,) sites."""
    elements, counts = np.unique(atomic_numbers, return_counts=True)
    counts //= np.gcd.reduce(counts)
    pairs = zip(elements.tolist(), counts.tolist(), strict=True)
    return "".join(f"{Element.from_Z(z).symbol}{n if n > 1 else ''}" for z, n in pairs)
