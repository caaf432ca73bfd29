"""The near-cubic supercell of the reference method, as an integer matrix and its lattice translations.

Method: Moran, Gaultois, Gusev, Rosseinsky, Digital Discovery 2023, 2, 1297, doi 10.1039/D3DD00005B.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Symmetric cells have axes of equal length and shears of exactly one half. Rounding errors must not break these ties,
# or the supercell would depend on the linear algebra library.
_RELATIVE_TIE = 1e-9
_SHEAR_STEP = 2.0**-32


def supercell_matrix(lattice: NDArray[np.float64], n_sites: int, max_sites: int) -> NDArray[np.int64]:
    """Integer matrix M of the supercell M @ lattice that is as close to a cube as `max_sites` allows.

    The shear S0 makes the rows of S0 @ lattice orthogonal; the shortest of them is lengthened, step by
    step, until the next step would exceed `max_sites`. M = round(diag(steps) S0), halves to even.

    Args:
        lattice: (3, 3) primitive lattice vectors as rows, in angstrom.
        n_sites: Sites P of the primitive cell.
        max_sites: Largest number of supercell sites; a primitive cell beyond it gets det M = 1.

    Returns:
        (3, 3) upper triangular matrix with a positive diagonal; n_images = det M.
    """
    shear = _orthogonalising_shear(lattice)
    lengths = np.linalg.norm(shear @ lattice, axis=1).tolist()
    steps = [1, 1, 1]
    while True:
        scaled = [step * length for step, length in zip(steps, lengths, strict=True)]
        longer = steps.copy()
        longer[_first_shortest(scaled)] += 1
        if math.prod(longer) * n_sites > max_sites:
            break
        steps = longer
    exact = np.rint(np.array(steps)[:, None] * shear / _SHEAR_STEP) * _SHEAR_STEP
    return np.rint(exact).astype(np.int64)


def _first_shortest(lengths: list[float]) -> int:
    limit = min(lengths) * (1 + _RELATIVE_TIE)
    return next(axis for axis, length in enumerate(lengths) if length <= limit)


def _orthogonalising_shear(lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit upper triangular S0 of the RQ decomposition: Gram-Schmidt that starts at the last row."""
    shear = np.eye(3)
    for row in (1, 0):
        for fixed in range(row + 1, 3):
            axis = shear[fixed] @ lattice
            shear[row] -= (lattice[row] @ axis) / (axis @ axis) * shear[fixed]
    return shear


@njit(cache=True)
def translations(matrix: NDArray[np.int64]) -> NDArray[np.int64]:
    """Primitive lattice translations inside the supercell, the coset representatives of Z^3 / M.

    They are the integer points p with p M^-1 in [0, 1)^3 in lexicographic order, which is the order of
    pymatgen's supercells.

    Args:
        matrix: (3, 3) upper triangular supercell matrix with a positive diagonal.

    Returns:
        (n_images, 3) integer translations; the first is zero.
    """
    a, b, c = matrix[0, 0], matrix[1, 1], matrix[2, 2]
    points = np.empty((a * b * c, 3), dtype=np.int64)
    n = 0
    for i in range(a):
        # Fractions over the common denominators a and a * b keep the bounds exact.
        first_j = -((-i * matrix[0, 1]) // a)
        for j in range(first_j, first_j + b):
            numerator = i * b * matrix[0, 2] + (j * a - i * matrix[0, 1]) * matrix[1, 2]
            first_k = -(-numerator // (a * b))
            for k in range(first_k, first_k + c):
                points[n, 0], points[n, 1], points[n, 2] = i, j, k
                n += 1
    return points
