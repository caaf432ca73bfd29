"""Segment operations against plain loops."""

import hypothesis.strategies as st
import torch
from hypothesis import given, settings

from sitenet.models.base.segments import segment_max, segment_mean, segment_softmax, segment_sum, top_k_counts

segment_lengths = st.lists(st.integers(1, 9), min_size=1, max_size=6)
seeds = st.integers(0, 2**32 - 1)


def random_segments(lengths: list[int], seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(sum(lengths), 3, generator=generator, dtype=torch.float64)
    counts = torch.randint(1, 5, (sum(lengths),), generator=generator)
    index = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    starts = torch.tensor([0, *lengths]).cumsum(0)
    return values, counts, index, starts


@given(segment_lengths, seeds)
def test_sum_mean_and_max(lengths: list[int], seed: int) -> None:
    values, counts, index, _ = random_segments(lengths, seed)
    n = len(lengths)
    for segment, (part, count) in enumerate(zip(values.split(lengths), counts.split(lengths), strict=True)):
        torch.testing.assert_close(segment_sum(values, index, n)[segment], part.sum(0))
        repeated = part.repeat_interleave(count, dim=0)
        torch.testing.assert_close(segment_mean(values, counts, index, n)[segment], repeated.mean(0))
        torch.testing.assert_close(segment_max(values, index, n)[segment], part.max(0).values)


@given(segment_lengths, seeds)
def test_softmax_equals_the_softmax_of_repeated_elements(lengths: list[int], seed: int) -> None:
    values, counts, index, _ = random_segments(lengths, seed)
    weights = segment_softmax(50 * values, counts[:, None], index, len(lengths)).split(lengths)
    for part, count, weight in zip(values.split(lengths), counts.split(lengths), weights, strict=True):
        repeated = (50 * part).repeat_interleave(count, dim=0).softmax(dim=0)
        owner = torch.arange(len(part)).repeat_interleave(count)
        torch.testing.assert_close(weight, torch.zeros_like(part).index_add(0, owner, repeated))


@given(segment_lengths, seeds, st.integers(1, 12))
@settings(max_examples=200)
def test_top_k_equals_the_top_k_of_repeated_elements(lengths: list[int], seed: int, k: int) -> None:
    values, counts, index, starts = random_segments(lengths, seed)
    kept = top_k_counts(values, counts, starts, index, k).split(lengths)
    for part, count, chosen in zip(values.split(lengths), counts.split(lengths), kept, strict=True):
        owner = torch.arange(len(part)).repeat_interleave(count)
        for column in range(part.shape[1]):
            best = part[owner, column].argsort(descending=True, stable=True)[:k]
            assert chosen[:, column].tolist() == owner[best].bincount(minlength=len(part)).tolist()


def test_softmax_ignores_elements_without_copies_however_large() -> None:
    logits = torch.tensor([[1e4], [0.0], [0.0]])
    weights = segment_softmax(logits, torch.tensor([[0], [1], [3]]), torch.zeros(3, dtype=torch.long), 1)
    assert weights.flatten().tolist() == [0.0, 0.25, 0.75]


def test_softmax_computes_half_precision_logits_in_float32() -> None:
    logits = torch.tensor([[10.0], [10.0]], dtype=torch.bfloat16)
    weights = segment_softmax(logits, torch.tensor([[1], [2]]), torch.zeros(2, dtype=torch.long), 1)
    assert weights.dtype == torch.float32
    torch.testing.assert_close(weights.flatten(), torch.tensor([1 / 3, 2 / 3]))
