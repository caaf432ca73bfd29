"""What must not change a prediction, as properties of real crystals."""

from dataclasses import replace
from random import Random

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from sitenet.data.crystal import Crystal
from sitenet.features.featurize import featurize
from sitenet.models.base.batch import collate
from sitenet.models.base.network import Network
from sitenet.models.registry import default_model
from sitenet.settings.features import FeatureSettings
from tests.real_crystals import crystals, point_set

IDS = sorted(crystals())[::35]
crystal_ids = st.sampled_from(IDS)
sizes = st.sampled_from([1, 50, 100])


@pytest.fixture(scope="module", params=["sitenet", "sitenet_radial", "cgcnn", "schnet"])
def model(request: pytest.FixtureRequest) -> Network:
    torch.manual_seed(1)
    network = default_model(request.param, False)
    return network.double()


@settings(max_examples=25, deadline=None)
@given(crystal_ids, sizes, st.randoms(use_true_random=False))
def test_order_of_sites(model: Network, crystal_id: str, max_sites: int, random: Random) -> None:
    crystal = crystals()[crystal_id]
    order = random.sample(range(len(crystal.atomic_numbers)), len(crystal.atomic_numbers))
    shuffled = replace(crystal, atomic_numbers=crystal.atomic_numbers[order], frac_coords=crystal.frac_coords[order])
    assert_same_prediction(model, crystal, shuffled, max_sites)


@settings(max_examples=25, deadline=None)
@given(crystal_ids, sizes, st.tuples(*[st.floats(-2, 2)] * 3))
def test_choice_of_origin(model: Network, crystal_id: str, max_sites: int, shift: tuple[float, ...]) -> None:
    crystal = crystals()[crystal_id]
    shifted = replace(crystal, frac_coords=crystal.frac_coords + np.array(shift))
    assert_same_prediction(model, crystal, shifted, max_sites)


def assert_same_prediction(model: Network, one: Crystal, other: Crystal, max_sites: int) -> None:
    feature_settings = FeatureSettings(max_sites=max_sites)
    with torch.no_grad():
        first, second = (model(collate([featurize(c, feature_settings)], torch.float64)) for c in (one, other))
    torch.testing.assert_close(first, second, rtol=0, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(crystal_ids, sizes), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_company_and_order_in_a_batch(model: Network, members: list[tuple[str, int]], random: Random) -> None:
    sets = [point_set(*member) for member in members]
    order = random.sample(range(len(sets)), len(sets))
    with torch.no_grad():
        together = model(collate(sets, torch.float64))
        shuffled = model(collate([sets[k] for k in order], torch.float64))
        alone = torch.cat([model(collate([sites], torch.float64)) for sites in sets])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-10)
    torch.testing.assert_close(together[order], shuffled, rtol=0, atol=1e-10)


def test_crystals_of_1_to_500_sites_in_one_batch(model: Network) -> None:
    sets = [
        point_set("mp-252", 1),
        point_set("mp-24084", 500),
        point_set("mp-3042", 50),
        point_set("mp-19308", 500),
    ]
    sizes_found = [len(s.site_class) * s.n_images for s in sets]
    assert min(sizes_found) <= 2
    assert max(sizes_found) >= 420
    with torch.no_grad():
        together = model(collate(sets, torch.float64))
        alone = torch.cat([model(collate([sites], torch.float64)) for sites in sets])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-10)
