"""Operations over segments of the first axis: element k belongs to segment index[k] of n."""

import torch
from torch import Tensor


def segment_sum(values: Tensor, index: Tensor, n: int) -> Tensor:
    """(n, ...) sums of `values` over each segment; an empty segment gives 0."""
    return values.new_zeros((n, *values.shape[1:])).index_add(0, index, values)


def segment_mean(values: Tensor, counts: Tensor, index: Tensor, n: int) -> Tensor:
    """(n, F) means of `values` (K, F) over each segment, element k counted `counts[k]` times."""
    weights = counts.to(values.dtype)
    return segment_sum(values * weights[:, None], index, n) / segment_sum(weights, index, n)[:, None]


def segment_max(values: Tensor, index: Tensor, n: int) -> Tensor:
    """(n, F) maxima of `values` (K, F) over each segment; no segment may be empty."""
    empty = values.new_full((n, values.shape[1]), -torch.inf)
    return empty.scatter_reduce(0, index[:, None].expand_as(values), values, "amax")


def segment_softmax(logits: Tensor, counts: Tensor, index: Tensor, n: int) -> Tensor:
    r"""Softmax over each segment in which element k stands for `counts[k]` equal ones.

    Each result is the weight of all copies of the element together,

    $$ w_k = c_k e^{a_k} / \sum_l c_l e^{a_l} , $$

    so that the weights of a segment sum to 1. At least one count of a segment must be positive.

    Args:
        logits: (K, H) logits; half precision is raised to float32.
        counts: (K, 1) or (K, H) multiplicities; elements with 0 get no weight.
        index: (K,) segment of each element.
        n: Number of segments.

    Returns:
        (K, H) weights.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    visible = logits.detach().masked_fill(counts == 0, -torch.inf)
    highest = segment_max(visible, index, n)
    raised = (logits - highest[index]).clamp(max=0).exp() * counts
    return raised / segment_sum(raised, index, n).index_select(0, index)


def top_k_counts(logits: Tensor, counts: Tensor, starts: Tensor, index: Tensor, k: int) -> Tensor:
    """How many copies of each element are among the k with the largest logits of its segment.

    The last element taken may keep only part of its copies, exactly as if all copies were listed one by
    one. Equal logits are taken in the order in which they stand.

    Args:
        logits: (K, H) logits; each column is treated by itself.
        counts: (K,) integer multiplicities.
        starts: (n + 1,) first element of each segment; segments are contiguous.
        index: (K,) segment of each element, ascending.
        k: Copies to keep in each segment.

    Returns:
        (K, H) integer counts; each column sums to k in every segment (to all copies if it has fewer).
    """
    order = logits.detach().argsort(dim=0, descending=True, stable=True)
    order = order.gather(0, index[order].argsort(dim=0, stable=True))
    sorted_counts = counts[order]
    before = sorted_counts.cumsum(0) - sorted_counts
    rank = before - before[starts[:-1]][index]
    kept = torch.minimum((k - rank).clamp(min=0), sorted_counts)
    return torch.zeros_like(kept).scatter(0, order, kept)
