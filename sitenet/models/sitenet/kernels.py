"""Fast path of the layers on pairs for float32 on CPUs: `kernels.c`, compiled at first use.

Same formulas as `Embedding` and `AttentionBlock` in sitenet.py, which stay the path for GPUs, other
precisions and options, and machines without a C compiler. Gains and biases of the layer norms are folded
into the linear maps that follow, and the kernels see all three pair layers of a block side by side; shape
suffix K is their padded width together, other suffixes are those of sitenet.py.
"""

import ctypes
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sitenet.models.base import kernels
from sitenet.models.base.batch import Batch
from sitenet.models.base.kernels import WIDTH_MULTIPLE
from sitenet.models.sitenet.settings import SiteNetSettings

# Every setting and the values that the kernels compute, None for any. A test wants every setting here, so that a
# new one cannot be ignored by chance.
KNOWN: Mapping[str, frozenset[object] | None] = MappingProxyType(
    {
        "activation": frozenset({"mish"}),
        "normalisation": frozenset({True}),
        "top_k": frozenset({None}),
        # Widths, which `supports` limits.
        "heads": None,
        "pair_width_per_head": None,
        "value_width": None,
        "attention_hidden": None,
        # What acts outside of the kernels.
        "kind": None,
        "blocks": None,
        "site_width_per_head": None,
        "embedding_width": None,
        "pooled_width": None,
        "head_hidden": None,
        "element_input": None,
        "elemental_properties": None,
        "elemental_scaling": None,
        "descriptor": None,
        "pooling": None,
        "cutoff": None,
    }
)

CHUNK_PAIRS, MAX_CHUNKS = 512, 64
MAX_WIDTH = 2048  # of a layer: the kernels keep their tiles on the stack
LAYERS = ("hidden", "value", "pair")
SIZES = ("threads", "chunks", "heads", *LAYERS, "in")
Sizes = dict[str, int]
TOPOLOGY = ("chunk_rows", "row_starts", "far_sites", "counts")
MAPS = ("near", "far", "pairs", "weight", "weight_t", "logit_weight", "mean_weight", "gain", "shift")
RESULTS = ("statistics", "values", "logits", "alpha", "mixed", "new_pairs")
GRADIENTS = ("d_mixed", "d_new_pairs", "d_near", "d_far", "d_pairs")
SHARED_GRADIENTS = ("d_weight", "d_logit_weight", "d_gain", "d_shift")


class KernelArguments(ctypes.Structure):
    """Sizes and addresses that the kernels work on; the same structure as in kernels.c."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in SIZES),
        *((name, ctypes.c_void_p) for name in TOPOLOGY + MAPS + RESULTS + GRADIENTS + SHARED_GRADIENTS),
        ("padding", ctypes.c_int64 * 3),
    ]


class DenseLayer(Protocol):
    """A linear map, then mish and a layer norm, as `Dense` in sitenet.py."""

    @property
    def linear(self) -> nn.Linear:
        """The linear map."""

    @property
    def norm(self) -> nn.Module:
        """The layer norm."""


def supports(settings: SiteNetSettings, input_: Tensor) -> bool:
    """Whether the kernels compute these settings, on the device and in the precision of `input_`."""
    pair_width = settings.heads * settings.pair_width_per_head
    return (
        all(values is None or getattr(settings, name) in values for name, values in KNOWN.items())
        and len(settings.attention_hidden) == 1
        and pair_width % WIDTH_MULTIPLE == 0
        and max(*settings.attention_hidden, settings.value_width, pair_width) <= MAX_WIDTH
        and not torch.is_autocast_enabled("cpu")  # their products of matrices are in float32
        and kernels.supports("sitenet/kernels", input_)
    )


def embed_pairs(layer: DenseLayer, features_EF: Tensor, batch: Batch) -> Tensor:
    """What the dense layer returns for pair features: a block's new pairs, without logits and values."""
    padding = (0, -features_EF.shape[1] % WIDTH_MULTIPLE)
    near_NP = layer.linear.bias.expand(batch.n_sites, -1)
    norm = cast(nn.LayerNorm, layer.norm)
    _, pairs_EP, _ = _PairAttention.apply(
        near_NP,
        torch.zeros_like(near_NP),
        F.pad(features_EF, padding),
        F.pad(layer.linear.weight, padding),
        features_EF.new_empty(0, 0),
        features_EF.new_empty(0),
        norm.weight,
        norm.bias,
        batch,
        [0, 0, len(norm.weight)],
    )
    return pairs_EP


def pair_layers(
    layers: Sequence[DenseLayer], logit_out: nn.Linear, x_ND: Tensor, e_EP: Tensor, batch: Batch
) -> tuple[Tensor, Tensor, Tensor]:
    """What `AttentionBlock.plain_pair_layers` returns: mixed values (N, V, H), new pairs (E, P), weights (E, H).

    Args:
        layers: The hidden layer of the logits, the values and, where pairs are updated, the new pairs.
        logit_out: From the hidden layer to the logits.
        x_ND: Sites.
        e_EP: Old pairs, which are returned where they are not updated.
        batch: What the sites and pairs belong to.
    """
    weight_K = torch.cat([_pad_rows(layer.linear.weight) for layer in layers])
    bias_K = torch.cat([_pad_rows(layer.linear.bias) for layer in layers])
    w_i, w_j, w_e = weight_K.split([x_ND.shape[1], x_ND.shape[1], e_EP.shape[1]], dim=1)
    hidden_norm, value_norm, *pair_norm = [cast(nn.LayerNorm, layer.norm) for layer in layers]
    gain, shift = (pair_norm[0].weight, pair_norm[0].bias) if pair_norm else x_ND.new_empty(2, 0)
    mixed_NHV, pairs_EP, alpha_EH = _PairAttention.apply(
        F.linear(x_ND, w_i, bias_K),
        F.linear(x_ND, w_j),
        e_EP,
        w_e,
        _pad_rows((logit_out.weight * hidden_norm.weight).T).T,
        F.linear(hidden_norm.bias, logit_out.weight, logit_out.bias),
        gain,
        shift,
        batch,
        [*(layer.linear.out_features for layer in layers), *([] if pair_norm else [0])],
    )
    # The weights of a row sum to 1, so the affine part of the values' norm can follow their sum.
    mixed_NHV = mixed_NHV[..., : len(value_norm.weight)] * value_norm.weight + value_norm.bias
    return mixed_NHV.transpose(1, 2), pairs_EP if pair_norm else e_EP, alpha_EH


def _pad_rows(tensor: Tensor) -> Tensor:
    return F.pad(tensor, (0, 0) * (tensor.ndim - 1) + (0, -len(tensor) % WIDTH_MULTIPLE))


def _sizes(near: Tensor, pairs: Tensor, logit_weight: Tensor, chunk_rows: Tensor, widths: list[int]) -> Sizes:
    return {
        **{name: width + -width % WIDTH_MULTIPLE for name, width in zip(LAYERS, widths, strict=True)},
        "threads": torch.get_num_threads(),
        "chunks": len(chunk_rows) - 1,
        "heads": len(logit_weight),
        "in": pairs.shape[1],
    }


class _PairAttention(torch.autograd.Function):
    """Logits, softmax, mixing of normalised values and new pairs over all pairs of a batch.

    Inputs: near and far (N, K), pairs (E, P), weight (K, P), logit_weight (H, hidden), logit_shift (H,),
    gain and shift (P,), the batch, and the layers' real widths. `logit_shift` has no effect, as softmax does
    not see what is added to all logits; it is an input so that its parameters get their gradient, zero.
    """

    @staticmethod
    def forward(
        ctx: Any,
        near: Tensor,
        far: Tensor,
        pairs: Tensor,
        weight: Tensor,
        logit_weight: Tensor,
        logit_shift: Tensor,
        gain: Tensor,
        shift: Tensor,
        batch: Batch,
        widths: list[int],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mixed values (N, H, V), new pairs (E, P) and attention weights (E, H)."""
        chunk_rows = kernels.chunk_rows(batch, CHUNK_PAIRS, MAX_CHUNKS)
        ctx.sizes = sizes = _sizes(near, pairs, logit_weight, chunk_rows, widths)
        ctx.padding = [-width % WIDTH_MULTIPLE for width in widths]
        empty, n_pairs = pairs.new_empty, len(pairs)
        inputs = {"near": near, "far": far, "pairs": pairs, "weight": weight.T, "weight_t": weight}
        inputs |= {"logit_weight": logit_weight, "mean_weight": logit_weight.sum(1) / widths[0]}
        inputs |= {"gain": gain, "shift": shift}
        inputs = {name: tensor.contiguous() for name, tensor in inputs.items()}
        inputs |= {"chunk_rows": chunk_rows, "row_starts": batch.row_starts, "far_sites": batch.pair_j}
        inputs["counts"] = batch.pair_counts.to(pairs.dtype)
        outputs = {name: empty(n_pairs, sizes["heads"]) for name in ("logits", "alpha")}
        outputs["statistics"] = empty(n_pairs, 2 * len(LAYERS))
        outputs["mixed"] = empty(len(near), sizes["heads"], sizes["value"])
        scratch = {"values": empty(n_pairs, sizes["value"]), "new_pairs": empty(n_pairs, sizes["pair"])}
        kernels.call(
            "sitenet/kernels",
            "fused_forward",
            KernelArguments(**sizes, padding=tuple(ctx.padding)),
            inputs | outputs | scratch,
        )
        ctx.names = [*inputs, *outputs]
        ctx.save_for_backward(*inputs.values(), *outputs.values())
        ctx.mark_non_differentiable(outputs["alpha"])
        return outputs["mixed"], scratch["new_pairs"], outputs["alpha"]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_mixed: Tensor, d_new_pairs: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the inputs in their order; hidden features are computed again, tile by tile."""
        saved, sizes = dict(zip(ctx.names, ctx.saved_tensors, strict=True)), ctx.sizes
        near, pairs, chunks = saved["near"], saved["pairs"], sizes["chunks"]
        outer = {"d_mixed": d_mixed.contiguous(), "d_new_pairs": d_new_pairs.contiguous()}
        site = {name: torch.zeros_like(near) for name in ("d_near", "d_far")}
        pair = {"d_pairs": torch.empty_like(pairs)}
        # Weight gradients are summed a chunk first, in the order of the chunks after that.
        shared = {
            "d_weight": pairs.new_zeros(chunks, sizes["in"], near.shape[1]),
            "d_logit_weight": pairs.new_zeros(chunks, sizes["heads"], sizes["hidden"]),
            "d_gain": pairs.new_zeros(chunks, sizes["pair"]),
            "d_shift": pairs.new_zeros(chunks, sizes["pair"]),
        }
        arguments = KernelArguments(**sizes, padding=tuple(ctx.padding))
        kernels.call("sitenet/kernels", "fused_backward", arguments, saved | outer | site | pair | shared)
        d_weight, d_logit_weight, d_gain, d_shift = (gradient.sum(0) for gradient in shared.values())
        d_logit_shift = pairs.new_zeros(sizes["heads"])
        d_maps = (*site.values(), *pair.values(), d_weight.T)
        return (*d_maps, d_logit_weight, d_logit_shift, d_gain, d_shift, None, None)
