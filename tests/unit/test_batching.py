from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sitenet.features.featurize import featurize
from sitenet.features.store import FeatureStore, write_shard
from sitenet.models.base.batch import Batch, collate
from sitenet.settings.features import FeatureSettings
from sitenet.training.batching import load_batches, pair_batches, shuffled
from sitenet.training.resident import ResidentPointSets
from tests.real_crystals import crystals
from tests.training_case import Inputs, write_inputs

sizes = st.lists(st.integers(min_value=1, max_value=50), max_size=60)


@given(sizes, st.integers(min_value=1, max_value=60))
def test_batches_hold_every_crystal_once_and_keep_to_the_limit(sizes: list[int], limit: int) -> None:
    n_pairs = np.array(sizes)
    batches = pair_batches(n_pairs, limit)
    assert [index for batch in batches for index in batch] == list(range(len(sizes)))
    assert all(len(batch) for batch in batches)
    assert all(n_pairs[batch].sum() <= limit or len(batch) == 1 for batch in batches)


@given(sizes, st.integers(min_value=1, max_value=60))
def test_batches_are_as_few_as_their_order_allows(sizes: list[int], limit: int) -> None:
    n_pairs = np.array(sizes)
    batches = pair_batches(n_pairs, limit)
    for batch, following in pairwise(batches):
        assert n_pairs[batch].sum() + n_pairs[following[0]] > limit


def test_order_depends_on_seed_and_epoch_alone() -> None:
    first = shuffled(100, seed=3, stream=7)
    np.random.default_rng(0).random(10)
    np.testing.assert_array_equal(first, shuffled(100, seed=3, stream=7))
    assert sorted(first.tolist()) == list(range(100))
    for seed, stream in [(3, 8), (4, 7), (7, 3)]:
        assert (first != shuffled(100, seed, stream)).any()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_inputs(tmp_path_factory.mktemp("inputs"), count=12)


def test_batches_are_loaded_in_order_with_their_crystals(inputs: Inputs) -> None:
    store = FeatureStore([inputs.shard])
    wanted = [np.array(indices) for indices in ([3, 1], [7], [0, 11, 4], [2], [5])]
    loaded = list(load_batches(store, wanted))
    assert [list(batch.ids) for batch in loaded] == [[inputs.ids[i] for i in indices] for indices in wanted]


def test_an_error_while_loading_reaches_the_reader(inputs: Inputs) -> None:
    store = FeatureStore([inputs.shard])
    with pytest.raises(IndexError):
        list(load_batches(store, [np.array([0]), np.array([99])]))


def test_a_shard_cut_short_is_refused_by_name(tmp_path: Path) -> None:
    broken = write_inputs(tmp_path, count=4).shard
    broken.write_bytes(broken.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"features\.arrow"):
        FeatureStore([broken])


@pytest.mark.parametrize("radius", [None, 4.0])
def test_batches_gathered_on_the_device_are_those_that_are_collated(radius: float | None, tmp_path: Path) -> None:
    settings = FeatureSettings(radius=radius, moments=2) if radius else FeatureSettings(max_sites=50)
    point_sets = [featurize(crystal, settings) for crystal in list(crystals().values())[:300]]
    write_shard(tmp_path / "shard.arrow", point_sets, settings)
    store = FeatureStore([tmp_path / "shard.arrow"])
    resident = ResidentPointSets(store, np.arange(299, 0, -1), torch.device("cpu"))
    for indices in (np.array([7]), np.array([298, 3, 3, 250, 12]), np.arange(1, 300)):
        batch, expected = resident.batch(indices), collate([store[int(index)] for index in indices])
        for field in fields(Batch):
            one, other = getattr(batch, field.name), getattr(expected, field.name)
            assert one == other if field.name == "ids" else torch.equal(one, other), field.name
    with pytest.raises(IndexError, match="crystal 0 is not on the device"):
        resident.batch(np.array([0]))


def test_large_counts_fit_in_16_bits(tmp_path: Path) -> None:
    point_set = featurize(crystals()["mp-252"], FeatureSettings(max_sites=50))
    counts = point_set.pair_counts.astype(np.int64)
    counts[0] = 65_535
    write_shard(tmp_path / "shard.arrow", [replace(point_set, pair_counts=counts)])
    store = FeatureStore([tmp_path / "shard.arrow"])
    assert ResidentPointSets(store, np.array([0]), torch.device("cpu")).batch(np.array([0])).pair_counts[0] == 65_535
