"""ALIGNN of the package alignn."""

from alignn.models.alignn_atomwise_pure import ALIGNNAtomWisePure, ALIGNNAtomWisePureConfig
from alignn.torch_graph_builder import TorchGraph, batch_torch_graph_pairs, build_pure_torch_graph
from jarvis.core.atoms import Atoms
from torch import Tensor

CUTOFF = 5.0  # angstrom
NEIGHBOURS = 12  # of each atom, the nearest ones
ANGLES = 3.5  # angstrom: angles are between bonds shorter than this
Graph = tuple[TorchGraph, TorchGraph]  # of atoms, and of bonds


def graph_of(crystal: dict, cutoff: float) -> Graph:
    """The two graphs of a crystal of pymatgen."""
    atoms = Atoms(
        lattice_mat=crystal["lattice"]["matrix"],
        coords=[site["abc"] for site in crystal["sites"]],
        elements=[site["species"][0]["element"] for site in crystal["sites"]],
    )
    return build_pure_torch_graph(atoms, cutoff, min(ANGLES, cutoff), NEIGHBOURS, use_matscipy_topology=False)


def prepare(crystals: dict[str, dict], cutoff: float) -> tuple[dict[str, Graph], ALIGNNAtomWisePure]:
    """The graphs of every crystal by id, and a network for them."""
    graphs = {id_: graph_of(crystal, cutoff) for id_, crystal in crystals.items()}
    width = next(iter(graphs.values()))[0].ndata["atom_features"].shape[1]
    config = ALIGNNAtomWisePureConfig(name="alignn_atomwise_pure", atom_input_features=width, calculate_gradient=False)
    return graphs, ALIGNNAtomWisePure(config)


def outputs(model: ALIGNNAtomWisePure, graphs: list[Graph]) -> Tensor:
    """What the network says of some crystals."""
    atoms, bonds = batch_torch_graph_pairs(graphs)
    return model((atoms, bonds, None))["out"]
