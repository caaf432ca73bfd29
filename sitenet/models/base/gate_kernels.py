"""Fast path of gated messages on CPUs: `gate.c`; same formula as `plain_gated_sums` in gate.py."""

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sitenet.models.base import kernels
from sitenet.models.base.batch import Batch
from sitenet.models.base.kernels import WIDTH_MULTIPLE
from sitenet.models.base.radial_functions import Places

NAME = "base/gate"
SIZES = ("threads", "chunks", "channels", "knots", "soft")
INPUTS = ("chunk_rows", "row_starts", "far_sites", "knot", "fraction", "weights", "near", "far", "table")
GRADIENTS = ("d_sums", "d_near", "d_far", "d_table", "scratch")


class KernelArguments(ctypes.Structure):
    """Sizes and addresses that the kernels work on; the same structure as in gate.c."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in SIZES),
        *((name, ctypes.c_void_p) for name in (*INPUTS, "sums", *GRADIENTS)),
    ]


def supports(channels: int, sites: Tensor) -> bool:
    """Whether the kernels compute this number of channels, on the device and in the precision of `sites`."""
    return channels % WIDTH_MULTIPLE == 0 and kernels.supports(NAME, sites)


def gated_sums(
    near_NF: Tensor, far_NF: Tensor, radial_KF: Tensor, places: Places, batch: Batch, soft: bool = False
) -> Tensor:
    """What `plain_gated_sums` returns, (N, G), in float32."""
    return _GatedSums.apply(near_NF.float(), far_NF.float(), radial_KF.float(), places, batch, soft)


class _GatedSums(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, near_NF: Tensor, far_NF: Tensor, radial_KF: Tensor, places: Places, batch: Batch, soft: bool
    ) -> Tensor:
        """(N, G) sums."""
        inputs = kernels.pair_inputs(batch, places) | {
            "weights": batch.pair_counts.float(),
            "near": near_NF.contiguous(),
            "far": far_NF.contiguous(),
            "table": radial_KF.contiguous(),
        }
        sums_NG = near_NF.new_empty(len(near_NF), near_NF.shape[1] // 2)
        ctx.sizes = (torch.get_num_threads(), len(inputs["chunk_rows"]) - 1, sums_NG.shape[1], len(radial_KF), soft)
        kernels.call(NAME, "gate_forward", KernelArguments(*ctx.sizes), inputs | {"sums": sums_NG})
        ctx.save_for_backward(*inputs.values())
        return sums_NG

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_sums: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the inputs in their order."""
        saved = dict(zip(INPUTS, ctx.saved_tensors, strict=True))
        found = {
            "d_near": torch.empty_like(saved["near"]),
            "d_far": torch.zeros_like(saved["far"]),
            "d_table": torch.zeros_like(saved["table"]),
        }
        other = {"d_sums": d_sums.contiguous(), "scratch": d_sums.new_empty(ctx.sizes[0], *saved["table"].shape)}
        kernels.call(NAME, "gate_backward", KernelArguments(*ctx.sizes), saved | other | found)
        return (*found.values(), None, None, None)
