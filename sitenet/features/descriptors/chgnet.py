"""Site features of CHGNet, a network of interatomic forces whose weights come with its package.

Deng et al., Nature Machine Intelligence 2023, 5, 1031, doi 10.1038/s42256-023-00716-3; weights 0.3.0. The features are
those from which CHGNet reads magnetic moments, before its last layer.
"""

import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import torch
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.settings.elements import SYMBOLS

WEIGHTS = "0.3.0"
N_ELEMENTS = 94  # hydrogen to plutonium


class ChgnetSites:
    """Describes sites by CHGNet.

    Args:
        device: Where its layers are computed; graphs are made on the CPU.
    """

    def __init__(self, device: str = "cpu"):
        with warnings.catch_warnings(), redirect_stdout(StringIO()):  # it greets
            warnings.simplefilter("ignore")
            from chgnet.model.model import CHGNet

            self._model = CHGNet.load(model_name=WEIGHTS, use_device=device, verbose=False).eval().requires_grad_(False)
        converter = self._model.graph_converter
        self._reach, self._bond, self._device = converter.atom_graph_cutoff, converter.bond_graph_cutoff, device

    def __call__(self, cells: Sequence[Crystal]) -> list[NDArray[np.float32]]:
        """(P, 64) features of each cell's sites; see `Describe`.

        Raises:
            BadCrystal: CHGNet has never seen an element.
        """
        for cell in cells:
            if (last := int(cell.atomic_numbers.max())) > N_ELEMENTS:
                raise BadCrystal(f"descriptors: CHGNet does not know {SYMBOLS[last - 1]}")
        graphs = [crystal_graph(cell, self._reach, self._bond).to(self._device) for cell in cells]
        with torch.no_grad():
            found = self._model(graphs, task="e", return_atom_feas=True)["atom_fea"]
        return [features.cpu().numpy() for features in found]


def crystal_graph(cell: Crystal, reach: float, bond: float):  # type: ignore[no-untyped-def]
    """The graph that CHGNet's own converter makes of a cell, several times as fast.

    Edges lead from a site to all within `reach`; an edge and its reverse are one undirected edge. Angles are pairs of
    edges at a site that are both shorter than `bond`, in angstrom.
    """
    from chgnet.graph import CrystalGraph

    structure = Structure(Lattice(cell.lattice), cell.atomic_numbers.tolist(), cell.frac_coords)
    near, far, images, distances = structure.get_neighbor_list(reach, numerical_tol=1e-8)
    undirected, has_reverse = _undirected(near, far, images.astype(np.int64))
    if not has_reverse.all():  # rounding errors put one of the two beyond the reach, where edges have no weight
        near, far, images, distances = (array[has_reverse] for array in (near, far, images, distances))
        undirected, _ = _undirected(near, far, images.astype(np.int64))
    first, second = _at_one_site(near, np.flatnonzero(distances < bond))

    def integers(array: NDArray[np.integer]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.int32))

    return CrystalGraph(
        atomic_number=integers(cell.atomic_numbers),
        atom_frac_coord=torch.tensor(cell.frac_coords, dtype=torch.float32),
        lattice=torch.tensor(cell.lattice, dtype=torch.float32),
        atom_graph=integers(np.stack([near, far], axis=1)),
        atom_graph_cutoff=reach,
        neighbor_image=torch.tensor(images, dtype=torch.float32),
        directed2undirected=integers(undirected),
        undirected2directed=integers(np.unique(undirected, return_index=True)[1]),
        bond_graph=integers(np.stack([near[first], undirected[first], first, undirected[second], second], axis=1)),
        bond_graph_cutoff=bond,
        graph_id=cell.id,
    )


def _undirected(
    near: NDArray[np.integer], far: NDArray[np.integer], images: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(E,) number of each edge without its direction, and whether its reverse is listed, too."""
    ends = np.column_stack([near, far, images])
    reverse = np.column_stack([far, near, -images])
    different = ends != reverse
    column = different.argmax(axis=1)
    rows = np.arange(len(ends))
    turned = ends[rows, column] > reverse[rows, column]
    one_way = np.where(turned[:, None], reverse, ends)
    if not len(one_way):
        return np.empty(0, np.int64), np.empty(0, np.bool_)
    low = one_way.min(axis=0)
    keys = np.ravel_multi_index((one_way - low).T, one_way.max(axis=0) - low + 1)
    _, numbers, counts = np.unique(keys, return_inverse=True, return_counts=True)
    return numbers, counts[numbers] == 2


def _at_one_site(near: NDArray[np.integer], edges: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All ordered pairs of two of the `edges` that begin at one site."""
    edges = edges[np.argsort(near[edges], kind="stable")]
    sites, starts, counts = np.unique(near[edges], return_index=True, return_counts=True)
    of_edge = np.searchsorted(sites, near[edges])
    n = counts[of_edge]
    first = np.repeat(np.arange(len(edges)), n)
    second = np.arange(n.sum()) - np.repeat(n.cumsum() - n, n) + np.repeat(starts[of_edge], n)
    different = first != second
    return edges[first[different]], edges[second[different]]
