"""Fast path of attention with radial functions on CPUs: `radial.c`, compiled at first use.

Same formula as `attend` in radial.py, whose shape suffixes are used here too. It computes in float32, under autocast
too: what half precision would save is the memory of pairs, which the kernels do not need.
"""

import ctypes
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sitenet.models.base import kernels
from sitenet.models.base.batch import Batch
from sitenet.models.base.kernels import LANES

# Few chunks, as each clears and adds up a gradient of the whole table; enough to keep some threads evenly busy.
CHUNK_PAIRS, MAX_CHUNKS = 1024, 16
MOST_HEADS = 8  # the lanes of the shortest vectors
SIZES = ("threads", "chunks", "heads", "width", "knots")
INPUTS = ("chunk_rows", "row_starts", "far_sites", "knot", "fraction", "log_counts", "query", "key", "value", "table")
RESULTS = ("alpha", "mixed")
GRADIENTS = ("d_mixed", "d_query", "d_key", "d_value", "d_table", "scratch")


class _Block(ctypes.Structure):
    """Arguments of the kernels, `Block` in radial.c."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in SIZES),
        *((name, ctypes.c_void_p) for name in INPUTS + RESULTS + GRADIENTS),
    ]


@dataclass(frozen=True)
class Places:
    """Where each pair lies between two knots of the radial functions.

    Attributes:
        knots: (E,) the knot below.
        fractions: (E,) distance to it in units of the spacing, 0 to 1.
    """

    knots: Tensor
    fractions: Tensor

    @classmethod
    def between(cls, n_knots: int, u_E: Tensor) -> Self:
        """Places of numbers between 0 and 1 among `n_knots` equidistant knots from 0 to 1."""
        scaled_E = u_E * (n_knots - 1)
        # Whatever a distance is, the kernels must not read beyond the table; NaN goes on in the fraction.
        knots_E = scaled_E.long().clamp(0, n_knots - 2)
        return cls(knots_E, scaled_E - knots_E)

    def of(self, table_KF: Tensor) -> Tensor:
        """(E, F) functions tabulated at the knots, linear in between."""
        return torch.lerp(table_KF[self.knots], table_KF[self.knots + 1], self.fractions[:, None].to(table_KF.dtype))


def usable(heads: int, q_ND: Tensor) -> bool:
    """Whether the kernels cover these sizes, and the precision and device of `q_ND`."""
    return MOST_HEADS % heads == 0 and q_ND.shape[1] % LANES == 0 and kernels.usable("radial", q_ND)


def attend(
    q_ND: Tensor, k_ND: Tensor, v_ND: Tensor, f_KD: Tensor, g_KD: Tensor, b_KH: Tensor, places: Places, batch: Batch
) -> tuple[Tensor, Tensor]:
    """What `radial.attend` returns: sums over each site's pairs (N, D) and weights (E, H), in float32."""
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
        rows, heads = kernels.chunk_rows(batch, CHUNK_PAIRS, MAX_CHUNKS), b_KH.shape[1]
        inputs = {
            "chunk_rows": rows,
            "row_starts": batch.row_starts,
            "far_sites": batch.pair_j,
            "knot": places.knots,
            "fraction": places.fractions.float(),
            "log_counts": batch.pair_counts.to(q_ND.dtype).log(),
            "query": q_ND.contiguous(),
            "key": k_ND.contiguous(),
            "value": v_ND.contiguous(),
            "table": torch.cat([f_KD, g_KD, b_KH.repeat(1, LANES // heads)], dim=1),
        }
        results = {"alpha": q_ND.new_empty(len(batch.distances), LANES), "mixed": torch.empty_like(inputs["query"])}
        sizes = (torch.get_num_threads(), len(rows) - 1, heads, q_ND.shape[1], len(f_KD))
        kernels.call("radial_forward", _Block(*sizes), inputs | results)
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
        kernels.call("radial_backward", _Block(*ctx.sizes), saved | outer | sites | table)
        d_filters_and_bias = table["d_table"].split([width, width, heads, LANES - heads], dim=1)[:3]
        return (*sites.values(), *d_filters_and_bias, None, None)
