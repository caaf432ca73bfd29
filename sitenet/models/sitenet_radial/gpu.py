"""Fast path of the work on pairs on GPUs: what the plain functions of the same name return, by `gpu_kernels`.

Torch alone writes and reads every product of every pair; at 5 angstrom that is tens of gigabytes a step. Here a pair's
functions are read once, and what a row adds up stays in registers. The kernels compute in float32, under autocast too.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sitenet.features.harmonics import n_moments
from sitenet.models.base import gpu
from sitenet.models.base.batch import Batch
from sitenet.models.base.gpu import pairs, ready

# Pairs and threads (in warps) at a time. One warp was up to six times as fast as four on an H200, since rows are short.
# Of gated messages, only these were tried.
ATTENTION = {"P": 8, "num_warps": 1}
MOMENTS = {"P": 2, "num_warps": 1}  # a pair has a value for every harmonic and channel
GATE = {"P": 16, "num_warps": 4}


def supports(input_: Tensor, *widths: int) -> bool:
    """Whether the kernels compute these widths, on the device and in the precision of `input_`."""
    powers = all(width > 0 and width & (width - 1) == 0 for width in widths)
    return powers and gpu.supports(input_)


def radial_attention(
    qkv_NF: Tensor, functions_EF: Tensor, heads: int, filter_keys: bool, batch: Batch
) -> tuple[Tensor, Tensor]:
    """Sums over each site's pairs (N, D) and weights (E, H), which have no gradient.

    Args:
        qkv_NF: (N, 3 D) queries, not yet scaled, keys and values, side by side.
        functions_EF: Radial functions of the pairs, as `RadialAttention` splits them.
        heads: Number of heads H.
        filter_keys: Whether the functions have filters of keys.
        batch: The pairs.
    """
    return _RadialAttention.apply(ready(qkv_NF), ready(functions_EF), heads, filter_keys, batch)


def moment_sums(v_NK: Tensor, w_EF: Tensor, moments_EM: Tensor, batch: Batch) -> Tensor:
    """See `moments.plain_moment_sums`."""
    return _MomentSums.apply(ready(v_NK), ready(w_EF), ready(moments_EM), batch)


def gated_sums(sites_NF: Tensor, radial_EF: Tensor, batch: Batch) -> Tensor:
    """See `plain_gated_sums`, with SiLU; a site has its parts as the near and as the far end side by side, (N, 4 G)."""
    return _GatedSums.apply(ready(sites_NF), ready(radial_EF), batch)


class _RadialAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, qkv_NF: Tensor, functions_EF: Tensor, heads: int, filter_keys: bool, batch: Batch
    ) -> tuple[Tensor, Tensor]:
        """Sums (N, D) and weights (E, H)."""
        from sitenet.models.sitenet_radial import gpu_kernels

        N, D = len(qkv_NF), qkv_NF.shape[1] // 3
        counts, *topology = pairs(batch)
        mixed_ND, alpha_EH = qkv_NF.new_empty(N, D), qkv_NF.new_empty(len(functions_EF), heads)
        ctx.sizes = {"scale": (heads / D) ** 0.5, "KEYS": filter_keys, "D": D, "H": heads, **ATTENTION}
        gpu_kernels.attend[(N,)](qkv_NF, functions_EF, counts, *topology, mixed_ND, alpha_EH, **ctx.sizes)
        ctx.save_for_backward(qkv_NF, functions_EF, *topology, mixed_ND, alpha_EH)
        ctx.mark_non_differentiable(alpha_EH)
        return mixed_ND, alpha_EH

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_mixed_ND: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the inputs in their order."""
        from sitenet.models.sitenet_radial import gpu_kernels

        qkv_NF, functions_EF, *_ = ctx.saved_tensors
        gradients = torch.zeros_like(qkv_NF), torch.empty_like(functions_EF)  # to sites many pairs add
        gpu_kernels.attend_backward[(len(qkv_NF),)](
            *ctx.saved_tensors, d_mixed_ND.contiguous(), *gradients, **ctx.sizes
        )
        return *gradients, None, None, None


class _MomentSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v_NK: Tensor, w_EF: Tensor, moments_EM: Tensor, batch: Batch) -> Tensor:
        """(N, M, K) sums."""
        from sitenet.models.sitenet_radial import gpu_kernels

        K, M = v_NK.shape[1], moments_EM.shape[1]
        L = w_EF.shape[1] // K
        assert n_moments(L) == M
        ctx.sizes = {"L": L, "K": K, "N_MOMENTS": M, "M": 1 << (M - 1).bit_length(), **MOMENTS}
        inputs, sums_NMK = (v_NK, w_EF, moments_EM, *pairs(batch)), v_NK.new_empty(len(v_NK), M, K)
        gpu_kernels.sum_moments[(len(v_NK),)](*inputs, sums_NMK, **ctx.sizes)
        ctx.save_for_backward(*inputs)
        return sums_NMK

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_sums_NMK: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the inputs in their order."""
        from sitenet.models.sitenet_radial import gpu_kernels

        v_NK, w_EF, *_ = ctx.saved_tensors
        gradients = torch.zeros_like(v_NK), torch.empty_like(w_EF)
        gpu_kernels.sum_moments_backward[(len(v_NK),)](
            *ctx.saved_tensors, d_sums_NMK.contiguous(), *gradients, **ctx.sizes
        )
        return *gradients, None, None


class _GatedSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, sites_NF: Tensor, radial_EF: Tensor, batch: Batch) -> Tensor:
        """(N, G) sums."""
        from sitenet.models.sitenet_radial import gpu_kernels

        N, G = len(sites_NF), sites_NF.shape[1] // 4
        ctx.sizes = {"G": G, **GATE}
        inputs, sums_NG = (sites_NF, radial_EF, *pairs(batch)), sites_NF.new_empty(N, G)
        gpu_kernels.sum_gated[(N,)](*inputs, sums_NG, **ctx.sizes)
        ctx.save_for_backward(*inputs)
        return sums_NG

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_sums_NG: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the inputs in their order."""
        from sitenet.models.sitenet_radial import gpu_kernels

        sites_NF, radial_EF, *_ = ctx.saved_tensors
        gradients = torch.zeros_like(sites_NF), torch.empty_like(radial_EF)
        gpu_kernels.sum_gated_backward[(len(sites_NF),)](
            *ctx.saved_tensors, d_sums_NG.contiguous(), *gradients, **ctx.sizes
        )
        return *gradients, None
