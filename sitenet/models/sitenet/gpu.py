"""Fast path of the work on pairs on GPUs, by `gpu_kernels`; they compute in float32, under autocast too.

Torch alone normalises rows whose width is no multiple of four slowly, and reads and writes every pair once an
operation.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sitenet.models.base.batch import Batch
from sitenet.models.base.gpu import pairs, ready

PAIRS = 4  # at a time


def dense(
    near_NF: Tensor, far_NF: Tensor, pairs_EF: Tensor, gain_F: Tensor, shift_F: Tensor, epsilon: float, batch: Batch
) -> Tensor:
    """(E, F) LN(mish(near + far + pairs)) of each pair's ends and of the pair itself.

    Args:
        near_NF: Of each site as the near end.
        far_NF: Of each site as the far end.
        pairs_EF: Of each pair.
        gain_F: Gain of the layer normalisation.
        shift_F: Its shift.
        epsilon: What it adds to the variance.
        batch: The pairs.
    """
    inputs = (ready(tensor) for tensor in (near_NF, far_NF, pairs_EF, gain_F, shift_F))
    return _Dense.apply(*inputs, epsilon, batch)


def mix(logits_EH: Tensor, values_EV: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Sums of each site's values (N, V, H), and their weights (E, H), which have no gradient."""
    return _Mix.apply(ready(logits_EH), ready(values_EV), batch)


def _padded(width: int) -> int:
    return 1 << (width - 1).bit_length()


class _Dense(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        near_NF: Tensor,
        far_NF: Tensor,
        pairs_EF: Tensor,
        gain_F: Tensor,
        shift_F: Tensor,
        epsilon: float,
        batch: Batch,
    ) -> Tensor:
        """(E, F) results."""
        from sitenet.models.sitenet import gpu_kernels

        (N, F), (_, *topology) = near_NF.shape, pairs(batch)
        before_EF, result_EF = torch.empty_like(pairs_EF), torch.empty_like(pairs_EF)
        padded = _padded(F)
        ctx.sizes = {"N_F": F, "F": padded, "P": PAIRS, "num_warps": max(1, padded // 64)}
        inputs, ctx.epsilon = (near_NF, far_NF, pairs_EF, gain_F, shift_F), epsilon
        gpu_kernels.dense[(N,)](*inputs, *topology, before_EF, result_EF, epsilon, **ctx.sizes)
        ctx.save_for_backward(before_EF, gain_F, *topology)
        return result_EF

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_result_EF: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the inputs in their order."""
        from sitenet.models.sitenet import gpu_kernels

        before_EF, gain_F, row_starts, _ = ctx.saved_tensors
        N, F = len(row_starts) - 1, len(gain_F)
        d_ends_NF = before_EF.new_empty(N, F), before_EF.new_zeros(N, F)  # to far sites many pairs add
        gradients = (*d_ends_NF, torch.empty_like(before_EF), torch.zeros_like(gain_F), torch.zeros_like(gain_F))
        gpu_kernels.dense_backward[(N,)](
            *ctx.saved_tensors, d_result_EF.contiguous(), *gradients, ctx.epsilon, **ctx.sizes
        )
        return *gradients, None, None


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits_EH: Tensor, values_EV: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Sums (N, V, H) and weights (E, H)."""
        from sitenet.models.sitenet import gpu_kernels

        H, V = logits_EH.shape[1], values_EV.shape[1]
        mixed_NVH, alpha_EH = values_EV.new_empty(batch.n_sites, V, H), torch.empty_like(logits_EH)
        counts, row_starts, _ = pairs(batch)
        ctx.sizes = {"N_H": H, "H": _padded(H), "N_V": V, "V": _padded(V), "P": PAIRS, "num_warps": 1}
        gpu_kernels.mix[(batch.n_sites,)](logits_EH, values_EV, counts, row_starts, mixed_NVH, alpha_EH, **ctx.sizes)
        ctx.save_for_backward(values_EV, row_starts, mixed_NVH, alpha_EH)
        ctx.mark_non_differentiable(alpha_EH)
        return mixed_NVH, alpha_EH

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_mixed_NVH: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the inputs in their order."""
        from sitenet.models.sitenet import gpu_kernels

        values_EV, row_starts, _, alpha_EH = ctx.saved_tensors
        gradients = torch.empty_like(alpha_EH), torch.empty_like(values_EV)
        gpu_kernels.mix_backward[(len(row_starts) - 1,)](
            *ctx.saved_tensors, d_mixed_NVH.contiguous(), *gradients, **ctx.sizes
        )
        return *gradients, None
