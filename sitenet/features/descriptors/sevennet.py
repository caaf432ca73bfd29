"""Site features of SevenNet-0, a network of interatomic forces whose weights come with its package.

Park et al., Journal of Chemical Theory and Computation 2024, 20, 4857, doi 10.1021/acs.jctc.4c00190; weights of 11 July
2024. The features are those from which SevenNet reads the energy of a site: what its last block makes of the site.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from pymatgen.core import Element, Lattice, Structure

from sitenet.data.crystal import BadCrystal, Crystal

WEIGHTS = "7net-0_11July2024"
LAST_BLOCK = "4_equivariant_gate"


class SevennetSites:
    """Describes sites by SevenNet.

    Args:
        device: Where its layers are computed; graphs are made on the CPU.
    """

    def __init__(self, device: str = "cpu"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from sevenn.util import load_checkpoint

            checkpoint = load_checkpoint(WEIGHTS)
            self._model = checkpoint.build_model()
        self._known = frozenset(self._model.type_map or {})
        self._reach, self._device = float(checkpoint.config["cutoff"]), device
        self._model.delete_module_by_key("force_output")  # nothing but features is asked for: no gradients
        self._model.to(device).eval().requires_grad_(False)
        self._features = torch.empty(0)
        self._model.get_submodule(LAST_BLOCK).register_forward_hook(self._keep)

    def __call__(self, cells: Sequence[Crystal]) -> list[NDArray[np.float32]]:
        """(P, 128) features of each cell's sites; see `Describe`.

        Raises:
            BadCrystal: SevenNet has never seen an element.
        """
        for cell in cells:
            if unknown := set(cell.atomic_numbers.tolist()) - self._known:
                names = ", ".join(str(Element.from_Z(z)) for z in sorted(unknown))
                raise BadCrystal(f"descriptors: SevenNet does not know {names}")
        with torch.no_grad():
            self._model(self._graphs(cells))
        sizes = [len(cell.atomic_numbers) for cell in cells]
        return [features.numpy() for features in self._features.cpu().split(sizes)]

    def _keep(self, _: torch.nn.Module, __: object, data: dict[str, torch.Tensor]) -> None:
        self._features = data["x"]

    def _graphs(self, cells: Sequence[Crystal]) -> dict[str, torch.Tensor]:
        """The graphs of cells as one: edges lead from a site to all within reach."""
        edges, vectors, start = [], [], 0
        for cell in cells:
            structure = Structure(Lattice(cell.lattice), cell.atomic_numbers.tolist(), cell.frac_coords)
            near, far, images, _ = structure.get_neighbor_list(self._reach, numerical_tol=1e-8)
            vectors.append((cell.frac_coords[far] + images - cell.frac_coords[near]) @ cell.lattice)
            edges.append(np.stack([near, far]) + start)
            start += len(cell.atomic_numbers)
        numbers = torch.from_numpy(np.concatenate([cell.atomic_numbers for cell in cells]).astype(np.int64))
        sizes = torch.tensor([len(cell.atomic_numbers) for cell in cells])
        data = {
            "x": numbers,  # replaced by the place of the element
            "atomic_numbers": numbers,
            "edge_index": torch.from_numpy(np.concatenate(edges, axis=1).astype(np.int64)),
            "edge_vec": torch.from_numpy(np.concatenate(vectors).astype(np.float32)),
            "num_atoms": sizes,
            "batch": torch.arange(len(cells)).repeat_interleave(sizes),
        }
        return {name: tensor.to(self._device) for name, tensor in data.items()}
