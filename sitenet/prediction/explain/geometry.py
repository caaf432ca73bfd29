"""What the page draws of a crystal: the atoms of the primitive cell, their bonds, and the strongest attended pairs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.features.elements import elemental_properties
from sitenet.features.pairs import PADDING, sphere_distances, sphere_vectors
from sitenet.features.point_set import PointSet
from sitenet.settings.elements import SYMBOLS

MAX_PAIRS = 5  # of each head
MAX_LINES = 24  # of each pair
BOND = 1.25  # atoms are bonded up to so many times the sum of their covalent radii
EDGE = 0.02  # atoms so close to a face, in fractions of the cell, are drawn on the opposite one, too
SLACK = 2e-3  # angstrom, by which distances of merged pairs may differ
Floats = NDArray[np.float64]


def atoms(cell: Crystal, point_set: PointSet) -> list[dict[str, object]]:
    """The atoms of the cell and those on its faces, edges and corners: element, place, class, and atoms bonded to."""
    wrapped = cell.frac_coords % 1.0
    found: list[tuple[int, Floats]] = []
    for site, place in enumerate(wrapped):
        axes = [[0, *([1] if x < EDGE else []), *([-1] if x > 1 - EDGE else [])] for x in place]
        found += [(site, place + shift) for shift in np.array(np.meshgrid(*axes)).T.reshape(-1, 3)]
    sites = np.array([site for site, _ in found])
    places = np.array([place for _, place in found]) @ cell.lattice
    radii = elemental_properties(["CovalentRadius"])[cell.atomic_numbers[sites], 0] / 100  # angstrom
    distances = np.linalg.norm(places[:, None] - places, axis=2)
    bonded = (distances < BOND * (radii[:, None] + radii)) & (distances > SLACK)
    return [
        {
            "elem": SYMBOLS[cell.atomic_numbers[site] - 1],
            **dict(zip("xyz", place.round(4).tolist(), strict=True)),
            "class": int(point_set.site_class[site]),
            "bonds": np.flatnonzero(bonds).tolist(),
        }
        for site, place, bonds in zip(sites, places, bonded, strict=True)
    ]


def edges(lattice: Floats) -> list[list[list[float]]]:
    """The twelve edges of the cell, each from one corner to another."""
    corners = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).T.reshape(-1, 3)
    pairs = [(a, b) for a in corners for b in corners if (b - a).sum() == 1 and (b >= a).all()]
    return [[(a @ lattice).round(4).tolist(), (b @ lattice).round(4).tolist()] for a, b in pairs]


@dataclass(frozen=True)
class Neighbours:
    """Every site within a distance of the sites of a cell.

    Attributes:
        near: (K,) site of the cell.
        far: (K,) site of which the neighbour is an image.
        distances: (K,) in angstrom.
        vectors: (K, 3) from one to the other.
    """

    near: NDArray[np.int64]
    far: NDArray[np.int64]
    distances: Floats
    vectors: Floats

    @classmethod
    def of(cls, cell: Crystal, radius: float) -> "Neighbours":
        """Those within a radius."""
        distances = sphere_distances(cell.lattice, cell.frac_coords, radius)
        vectors = sphere_vectors(cell.lattice, cell.frac_coords, radius)
        near, far, _ = np.nonzero(distances < PADDING)
        return cls(near, far, distances[distances < PADDING], vectors)


def strongest_pairs(cell: Crystal, point_set: PointSet, weights_EH: Floats) -> list[list[dict[str, object]]]:
    """For each head the pairs of two sites with the largest weights of a site, with lines from one to the other.

    Args:
        cell: The primitive cell.
        point_set: Its features.
        weights_EH: (E, H) weights of single sites.

    Returns:
        For each head at most `MAX_PAIRS` pairs. Lines begin at the first site of the near class; there are none where
        they would be too many. In a supercell there may be more of them than sites that are counted: images at its
        border are one site.
    """
    others = np.flatnonzero(point_set.distances > 0)
    rows = np.repeat(np.arange(len(point_set.row_counts)), point_set.row_counts)
    chosen = [others[np.argsort(-weights[others], kind="stable")[:MAX_PAIRS]] for weights in weights_EH.T]
    drawn = [pair for own in chosen for pair in own]
    if not drawn:
        return [[] for _ in chosen]
    try:
        neighbours = Neighbours.of(cell, float(point_set.distances[drawn].max()) + SLACK)
    except BadCrystal:  # too many sites to list
        neighbours = Neighbours.of(cell, SLACK)
    return [
        [
            _drawn(cell, point_set, neighbours, int(rows[pair]), int(pair)) | {"weight": float(weights_EH[pair, head])}
            for pair in own
        ]
        for head, own in enumerate(chosen)
    ]


def _drawn(cell: Crystal, point_set: PointSet, neighbours: Neighbours, near: int, pair: int) -> dict[str, object]:
    """A pair of a row: its classes, distance and number of sites, and where its lines begin and end."""
    far, distance = int(point_set.pair_sites[pair]), float(point_set.distances[pair])
    first = int(np.flatnonzero(point_set.site_class == near)[0])
    lines = (
        (neighbours.near == first)
        & (point_set.site_class[neighbours.far] == far)
        & (abs(neighbours.distances - distance) < SLACK)
    )
    start = (cell.frac_coords[first] % 1.0) @ cell.lattice
    return {
        "near": near,
        "far": far,
        "distance": distance,
        "count": int(point_set.pair_counts[pair]),
        "from": start.round(4).tolist(),
        "to": (start + neighbours.vectors[lines][:MAX_LINES]).round(4).tolist(),
    }
