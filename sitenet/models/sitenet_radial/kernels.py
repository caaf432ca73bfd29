"""Fast path of attention with radial functions on CPUs: `kernels.c`, compiled at first use.

Same formula as `plain_radial_attention` in network.py, whose shape suffixes are used here too. It computes in float32,
under autocast too: what half precision would save is the memory of pairs, which the kernels do not need.
"""

import ctypes
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sitenet.models.base import kernels
from sitenet.models.base.batch import Batch
from sitenet.models.base.kernels import WIDTH_MULTIPLE
from sitenet.models.base.radial_functions import Places

MOST_HEADS = 8  # the lanes of the shortest vectors
ALPHA_WIDTH = 16  # floats of a pair's weights, the heads' repeated, as in kernels.c
# Every setting and the values that the kernels compute, None for any; see `KNOWN` of `sitenet`.
KNOWN: Mapping[str, frozenset[object] | None] = MappingProxyType(
    {
        "heads": None,  # `supports` limits it
        "width": None,  # and this
        "filter_keys": None,  # without it, the filter of keys is 1 everywhere
        # What other kernels compute, or torch.
        "moments": None,
        "moment_channels": None,
        "moment_invariants": None,
        "gate_channels": None,
        # What acts outside of the kernels.
        "kind": None,
        "blocks": None,
        "hidden_width": None,
        "radial_functions": None,
        "radial_length": None,
        "elemental_properties": None,
        "cutoff": None,
        "envelope": None,  # it changes the counts of pairs
        "descriptor": None,
        "dropout": None,
    }
)
SIZES = ("threads", "chunks", "heads", "width", "knots")
INPUTS = ("chunk_rows", "row_starts", "far_sites", "knot", "fraction", "log_counts", "query", "key", "value", "table")
RESULTS = ("alpha", "mixed")
GRADIENTS = ("d_mixed", "d_query", "d_key", "d_value", "d_table", "scratch")


class KernelArguments(ctypes.Structure):
    """Sizes and addresses that the kernels work on; the same structure as in kernels.c."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in SIZES),
        *((name, ctypes.c_void_p) for name in INPUTS + RESULTS + GRADIENTS),
    ]


def supports(heads: int, q_ND: Tensor) -> bool:
    """Whether the kernels compute these sizes, on the device and in the precision of `q_ND`."""
    return (
        MOST_HEADS % heads == 0
        and q_ND.shape[1] % WIDTH_MULTIPLE == 0
        and kernels.supports("sitenet_radial/kernels", q_ND)
    )


def radial_attention(
    q_ND: Tensor, k_ND: Tensor, v_ND: Tensor, f_KD: Tensor, g_KD: Tensor, b_KH: Tensor, places: Places, batch: Batch
) -> tuple[Tensor, Tensor]:
    """What `plain_radial_attention` returns: sums over each site's pairs (N, D) and weights (E, H), in float32."""
    return _RadialAttention.apply(*(x.float() for x in (q_ND, k_ND, v_ND, f_KD, g_KD, b_KH)), places, batch)


class _RadialAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        q_ND: Tensor,
        k_ND: Tensor,
        v_ND: Tensor,
        f_KD: Tensor,
        g_KD: Tensor,
        b_KH: Tensor,
        places: Places,
        batch: Batch,
    ) -> tuple[Tensor, Tensor]:
        """Mixed features (N, D) and weights (E, H)."""
        heads = b_KH.shape[1]
        inputs = kernels.pair_inputs(batch, places) | {
            "log_counts": batch.pair_counts.to(q_ND.dtype).log(),
            "query": q_ND.contiguous(),
            "key": k_ND.contiguous(),
            "value": v_ND.contiguous(),
            "table": torch.cat([f_KD, g_KD, b_KH.repeat(1, ALPHA_WIDTH // heads)], dim=1),
        }
        results = {
            "alpha": q_ND.new_empty(len(batch.distances), ALPHA_WIDTH),
            "mixed": torch.empty_like(inputs["query"]),
        }
        sizes = (torch.get_num_threads(), len(inputs["chunk_rows"]) - 1, heads, q_ND.shape[1], len(f_KD))
        kernels.call("sitenet_radial/kernels", "radial_forward", KernelArguments(*sizes), inputs | results)
        ctx.sizes, ctx.names = sizes, [*inputs, *results]
        ctx.save_for_backward(*inputs.values(), *results.values())
        alpha_EH = results["alpha"][:, :heads]
        ctx.mark_non_differentiable(alpha_EH)
        return results["mixed"], alpha_EH

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_mixed: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the inputs in their order."""
        saved = dict(zip(ctx.names, ctx.saved_tensors, strict=True))
        threads, _, heads, width, _ = ctx.sizes
        sites = {
            "d_query": torch.empty_like(saved["query"]),
            "d_key": torch.zeros_like(saved["key"]),
            "d_value": torch.zeros_like(saved["value"]),
        }
        table = {
            "d_table": torch.zeros_like(saved["table"]),
            "scratch": d_mixed.new_empty(threads, *saved["table"].shape),
        }
        outer = {"d_mixed": d_mixed.contiguous()}
        kernels.call(
            "sitenet_radial/kernels", "radial_backward", KernelArguments(*ctx.sizes), saved | outer | sites | table
        )
        d_filters_and_bias = table["d_table"].split([width, width, heads, ALPHA_WIDTH - heads], dim=1)[:3]
        return (*sites.values(), *d_filters_and_bias, None, None)
