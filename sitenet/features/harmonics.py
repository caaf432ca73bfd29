"""Real spherical harmonics of directions."""

import math

import numpy as np
from numpy.typing import NDArray


def spherical_harmonics(vectors: NDArray[np.float64], degree: int) -> NDArray[np.float64]:
    """Real spherical harmonics of degree 1 to `degree`, each with a mean square of 1 over the sphere.

    Powers of x + iy times associated Legendre polynomials in z, by the usual recursion in the degree.

    Args:
        vectors: (K, 3) vectors of any length.
        degree: Largest degree l.

    Returns:
        (K, (degree + 1)^2 - 1) values, ordered by l and then by m = -l..l; 0 for a vector of length 0.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    x, y, z = (vectors / np.where(lengths > 0, lengths, 1)).T
    square = x * x + y * y + z * z  # 1, or 0
    values = np.empty((len(vectors), n_moments(degree)))
    power = np.ones(len(vectors), dtype=complex)
    for m in range(degree + 1):
        below, legendre = np.zeros(len(vectors)), np.full(len(vectors), float(math.prod(range(1, 2 * m, 2))))
        for l in range(m, degree + 1):  # noqa: E741
            centre = n_moments(l - 1) + l  # the column of m = 0
            if l > 0:
                norm = math.sqrt((2 * l + 1) * (2 if m else 1) * math.factorial(l - m) / math.factorial(l + m))
                values[:, centre + m] = norm * legendre * power.real
            if m > 0:
                values[:, centre - m] = norm * legendre * power.imag
            below, legendre = legendre, ((2 * l + 1) * z * legendre - (l + m) * square * below) / (l + 1 - m)
        power = power * (x + 1j * y)
    return values


def n_moments(degree: int) -> int:
    """Number of harmonics of degree 1 to `degree`."""
    return (degree + 1) ** 2 - 1
