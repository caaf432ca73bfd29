"""Fast path of the sums of moments on CPUs: `moments.c`; same formula as `plain_moment_sums` in moments.py."""

import ctypes
import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sitenet.models.base import kernels
from sitenet.models.base.batch import Batch
from sitenet.models.base.kernels import WIDTH_MULTIPLE
from sitenet.models.base.radial_functions import Places

NAME = "sitenet_radial/moments"
SIZES = ("threads", "chunks", "channels", "degree", "knots")
INPUTS = ("chunk_rows", "row_starts", "far_sites", "knot", "fraction", "weights", "moments", "value", "table")
GRADIENTS = ("d_sums", "d_value", "d_table", "scratch")


class KernelArguments(ctypes.Structure):
    """Sizes and addresses that the kernels work on; the same structure as in moments.c."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in SIZES),
        *((name, ctypes.c_void_p) for name in (*INPUTS, "sums", *GRADIENTS)),
    ]


def supports(channels: int, sites: Tensor) -> bool:
    """Whether the kernels compute this number of channels, on the device and in the precision of `sites`."""
    return channels % WIDTH_MULTIPLE == 0 and kernels.supports(NAME, sites)


def moment_sums(v_NK: Tensor, w_KF: Tensor, moments_EM: Tensor, places: Places, batch: Batch) -> Tensor:
    """What `plain_moment_sums` returns, (N, M, K), in float32."""
    return _MomentSums.apply(v_NK.float(), w_KF.float(), moments_EM.float(), places, batch)


class _MomentSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v_NK: Tensor, w_KF: Tensor, moments_EM: Tensor, places: Places, batch: Batch) -> Tensor:
        """(N, M, K) sums."""
        degree = math.isqrt(moments_EM.shape[1] + 1) - 1
        inputs = kernels.pair_inputs(batch, places) | {
            "weights": batch.pair_counts.float(),
            "moments": moments_EM.contiguous(),
            "value": v_NK.contiguous(),
            "table": w_KF.contiguous(),
        }
        sums_NMK = v_NK.new_empty(len(v_NK), moments_EM.shape[1], v_NK.shape[1])
        ctx.sizes = (torch.get_num_threads(), len(inputs["chunk_rows"]) - 1, v_NK.shape[1], degree, len(w_KF))
        kernels.call(NAME, "moments_forward", KernelArguments(*ctx.sizes), inputs | {"sums": sums_NMK})
        ctx.save_for_backward(*inputs.values())
        return sums_NMK

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_sums: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the inputs in their order."""
        saved = dict(zip(INPUTS, ctx.saved_tensors, strict=True))
        found = {"d_value": torch.zeros_like(saved["value"]), "d_table": torch.zeros_like(saved["table"])}
        other = {"d_sums": d_sums.contiguous(), "scratch": d_sums.new_empty(ctx.sizes[0], *saved["table"].shape)}
        kernels.call(NAME, "moments_backward", KernelArguments(*ctx.sizes), saved | other | found)
        return (*found.values(), None, None, None)
