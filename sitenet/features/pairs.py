"""Distances from the primitive sites: to all sites of a periodic supercell, or to all sites within a radius."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sitenet.data.crystal import BadCrystal

# Relative tolerance in comparisons of lengths. It makes the loops below terminate and changes distances by less than
# 1e-11 of the cell.
_MARGIN = 1e-12
PADDING = 1e6  # angstrom, larger than any radius; fills rows of distances up to the length of the longest
# Limits with a radius: counts must fit in 16 bits, and distances several times in memory.
MAX_SEEN, MAX_PAIRS = 2**16 - 1, 20_000_000


def relevant_vectors(lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lattice vectors that bound the Voronoi cell of a lattice point.

    A vector is the shortest of its class modulo the lattice exactly if adding or subtracting any of them does not
    shorten it. They are the partial sums of an obtuse superbase, which Selling's algorithm finds (Conway and Sloane,
    Proc. R. Soc. Lond. A 436, 55 (1992), doi 10.1098/rspa.1992.0004).

    Args:
        lattice: (3, 3) lattice vectors as rows, in angstrom.

    Returns:
        (7, 3) vectors, one of each pair +-v; the first three are a basis of the lattice.
    """
    superbase = np.concatenate([lattice, -lattice.sum(axis=0, keepdims=True)])
    _make_obtuse(superbase)
    return np.concatenate([superbase, superbase[:3] + superbase[3]])


@njit(cache=True)
def _make_obtuse(superbase: NDArray[np.float64]) -> None:
    """Selling's algorithm on four vectors that sum to zero, in place."""
    obtuse = False
    while not obtuse:
        obtuse = True
        for i in range(4):
            for j in range(4):
                if i != j and _is_acute(superbase[i], superbase[j]):
                    obtuse = False
                    for axis in range(3):
                        for k in range(4):
                            if k != i and k != j:
                                superbase[k, axis] += superbase[i, axis]
                        superbase[i, axis] *= -1


@njit(cache=True)
def _is_acute(u: NDArray[np.float64], v: NDArray[np.float64]) -> bool:
    projection = u[0] * v[0] + u[1] * v[1] + u[2] * v[2]
    square_u = u[0] * u[0] + u[1] * u[1] + u[2] * u[2]
    square_v = v[0] * v[0] + v[1] * v[1] + v[2] * v[2]
    return projection > _MARGIN * math.sqrt(square_u * square_v)


def pair_distances(
    lattice: NDArray[np.float64],
    frac_coords: NDArray[np.float64],
    matrix: NDArray[np.int64],
    translations: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Minimum-image distances from primitive sites i to supercell sites (j, t), exact for any cell shape.

    All copies of a primitive site have the same surroundings, so the rows of one copy suffice.

    Args:
        lattice: (3, 3) primitive lattice vectors as rows, in angstrom.
        frac_coords: (P, 3) fractional coordinates in the primitive cell.
        matrix: (3, 3) supercell matrix.
        translations: (n_images, 3) primitive translations inside the supercell.

    Returns:
        (P, P, n_images) distances in angstrom in the periodic supercell; [i, i, 0] is zero.
    """
    vectors = relevant_vectors(matrix @ lattice)
    to_base = lattice @ np.linalg.inv(vectors[:3])
    squares = np.sum(vectors**2, axis=1)
    shifts = translations.astype(np.float64) @ to_base
    return _distances(frac_coords @ to_base, shifts, vectors, squares)


@njit(cache=True)
def _distances(
    sites: NDArray[np.float64],
    shifts: NDArray[np.float64],
    vectors: NDArray[np.float64],
    squares: NDArray[np.float64],
) -> NDArray[np.float64]:
    """`pair_distances` of sites and translations in the basis vectors[:3]; squares are |vectors|^2."""
    n_sites, n_images = len(sites), len(shifts)
    distances = np.empty((n_sites, n_sites, n_images))
    for i in range(n_sites):
        for j in range(n_sites):
            a, b, c = sites[j, 0] - sites[i, 0], sites[j, 1] - sites[i, 1], sites[j, 2] - sites[i, 2]
            for t in range(n_images):
                distances[i, j, t] = _shortest_length(
                    a + shifts[t, 0], b + shifts[t, 1], c + shifts[t, 2], vectors, squares
                )
    return distances


@njit(cache=True, error_model="numpy")
def _shortest_length(a: float, b: float, c: float, vectors: NDArray[np.float64], squares: NDArray[np.float64]) -> float:
    """Length of the shortest vector equal to (a, b, c) @ vectors[:3] modulo the lattice."""
    a, b, c = a - np.rint(a), b - np.rint(b), c - np.rint(c)
    x = a * vectors[0, 0] + b * vectors[1, 0] + c * vectors[2, 0]
    y = a * vectors[0, 1] + b * vectors[1, 1] + c * vectors[2, 1]
    z = a * vectors[0, 2] + b * vectors[1, 2] + c * vectors[2, 2]
    shortened = True
    while shortened:
        shortened = False
        for v in range(len(vectors)):
            projection = x * vectors[v, 0] + y * vectors[v, 1] + z * vectors[v, 2]
            if abs(projection) > (0.5 + _MARGIN) * squares[v]:
                steps = np.rint(projection / squares[v])
                x -= steps * vectors[v, 0]
                y -= steps * vectors[v, 1]
                z -= steps * vectors[v, 2]
                shortened = True
    return math.sqrt(x * x + y * y + z * z)


def sphere_distances(
    lattice: NDArray[np.float64], frac_coords: NDArray[np.float64], radius: float
) -> NDArray[np.float64]:
    """Distances of all periodic images of sites j within a radius of primitive sites i.

    Args:
        lattice: (3, 3) primitive lattice vectors as rows, in angstrom.
        frac_coords: (P, 3) fractional coordinates in the primitive cell.
        radius: Longest distance, in angstrom.

    Returns:
        (P, P, n_images) distances in angstrom; if j has fewer than n_images images within the radius, the rest is
        `PADDING`.

    Raises:
        BadCrystal: There are more pairs than memory or the feature store can hold.
    """
    sites, basis, reach = _in_reduced_basis(lattice, frac_coords, radius)
    n_images = int(_list_images(sites, basis, reach, radius, np.empty((0, 0, 0)), np.empty((0, 3))).max())
    if n_images * len(sites) > MAX_SEEN or n_images * len(sites) ** 2 > MAX_PAIRS:
        seen = f"{n_images * len(sites):,} sites within {radius:g} angstrom of a site"
        raise BadCrystal(f"too large: up to {seen}; choose a smaller features.radius")
    distances = np.full((len(sites), len(sites), n_images), PADDING)
    _list_images(sites, basis, reach, radius, distances, np.empty((0, 3)))
    return distances


def sphere_vectors(
    lattice: NDArray[np.float64], frac_coords: NDArray[np.float64], radius: float
) -> NDArray[np.float64]:
    """(K, 3) vectors to the sites whose distances `sphere_distances` lists, in their order without the padding."""
    sites, basis, reach = _in_reduced_basis(lattice, frac_coords, radius)
    counts = _list_images(sites, basis, reach, radius, np.empty((0, 0, 0)), np.empty((0, 3)))
    vectors = np.empty((int(counts.sum()), 3))
    _list_images(sites, basis, reach, radius, np.empty((0, 0, 0)), vectors)
    return vectors


def _in_reduced_basis(
    lattice: NDArray[np.float64], frac_coords: NDArray[np.float64], radius: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Sites in a basis of short vectors, the basis, and the `reach` of `_list_images`."""
    basis = relevant_vectors(lattice)[:3]
    inverse = np.linalg.inv(basis)
    return frac_coords @ lattice @ inverse, basis, radius * np.linalg.norm(inverse, axis=0)


@njit(cache=True)
def _list_images(
    sites: NDArray[np.float64],
    basis: NDArray[np.float64],
    reach: NDArray[np.float64],
    radius: float,
    distances: NDArray[np.float64],
    vectors: NDArray[np.float64],
) -> NDArray[np.int64]:
    """(P, P) numbers of images of j within the radius of i; also fills in `distances` and `vectors` that are not empty.

    `reach` is the largest component of an image's distance along each basis vector, in units of the vector.
    """
    counts, n = np.zeros((len(sites), len(sites)), dtype=np.int64), 0
    for i in range(len(sites)):
        for j in range(len(sites)):
            a, b, c = sites[j, 0] - sites[i, 0], sites[j, 1] - sites[i, 1], sites[j, 2] - sites[i, 2]
            for u in range(math.ceil(-reach[0] - a), math.floor(reach[0] - a) + 1):
                for v in range(math.ceil(-reach[1] - b), math.floor(reach[1] - b) + 1):
                    for w in range(math.ceil(-reach[2] - c), math.floor(reach[2] - c) + 1):
                        x = (a + u) * basis[0, 0] + (b + v) * basis[1, 0] + (c + w) * basis[2, 0]
                        y = (a + u) * basis[0, 1] + (b + v) * basis[1, 1] + (c + w) * basis[2, 1]
                        z = (a + u) * basis[0, 2] + (b + v) * basis[1, 2] + (c + w) * basis[2, 2]
                        square = x * x + y * y + z * z
                        if square <= radius * radius:
                            if distances.size:
                                distances[i, j, counts[i, j]] = math.sqrt(square)
                            if vectors.size:
                                vectors[n, 0], vectors[n, 1], vectors[n, 2] = x, y, z
                            counts[i, j] += 1
                            n += 1
    return counts
