"""MEGNet of the package matgl."""

import torch
from matgl.ext.pymatgen import Structure2Graph, get_element_list
from matgl.models import MEGNet
from pymatgen.core import Structure
from torch import Tensor
from torch_geometric.data import Batch
from torch_geometric.data import Data as Graph

CUTOFF = 4.0  # angstrom
STATE = torch.zeros(2)  # MEGNet's state of a crystal: nothing is known of it


def prepare(crystals: dict[str, dict], cutoff: float) -> tuple[dict[str, Graph], MEGNet]:
    """The graph of every crystal by id, and a network for their elements."""
    structures = {id_: Structure.from_dict(crystal) for id_, crystal in crystals.items()}
    elements = get_element_list(list(structures.values()))
    converter, graphs = Structure2Graph(elements, cutoff), {}
    for id_, structure in structures.items():
        graph, lattices, _ = converter.get_graph(structure)
        lattice = lattices[0]
        position, shift = graph.frac_coords @ lattice, graph.pbc_offset @ lattice
        graphs[id_] = Graph(
            node_type=graph.node_type, edge_index=graph.edge_index.long(), pos=position, pbc_offshift=shift
        )
    return graphs, MEGNet(element_types=elements, cutoff=cutoff)


def outputs(model: MEGNet, graphs: list[Graph]) -> Tensor:
    """What the network says of some crystals."""
    return model(Batch.from_data_list(graphs), STATE.expand(len(graphs), -1)).reshape(-1)
