"""What the Triton kernels of all networks share on their way in."""

from importlib.util import find_spec

from torch import Tensor

from sitenet.models.base.batch import Batch

HAS_TRITON = find_spec("triton") is not None  # it comes with torch for CUDA


def supports(input_: Tensor) -> bool:
    """Whether Triton kernels compute on the device and in the precision of `input_`."""
    return input_.is_cuda and input_.dtype.itemsize <= 4 and HAS_TRITON


def ready(tensor: Tensor) -> Tensor:
    """The tensor as kernels read it, under autocast too: float32, row after row."""
    return tensor.float().contiguous()


def pairs(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Multiplicities, first pairs of the rows and far sites of a batch."""
    return batch.pair_counts.float(), batch.row_starts, batch.pair_j
