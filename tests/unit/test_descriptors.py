"""Site features of the real CHGNet and SevenNet: graphs, merging, files, and networks that read them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from pymatgen.core import Lattice, Structure

from sitenet.config.benchmark import Benchmark
from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.table import CrystalTable, bundled_path
from sitenet.errors import UserError
from sitenet.failures import read_failures
from sitenet.features.descriptors.chgnet import ChgnetSites
from sitenet.features.descriptors.sevennet import SevennetSites
from sitenet.features.descriptors.shard import _described, describe_shard, pooled, read_descriptors
from sitenet.features.descriptors.site_descriptors import SiteDescriptors, describe, descriptor
from sitenet.features.featurize import expand_attention, featurize
from sitenet.features.shard import featurize_shard
from sitenet.features.store import FeatureStore, failures_path
from sitenet.models.base.batch import collate
from sitenet.models.base.network import Network
from sitenet.models.registry import model_kinds
from sitenet.models.sitenet.network import SiteNet
from sitenet.settings.descriptors import DESCRIPTORS, DescriptorName
from sitenet.settings.features import FeatureSettings
from tests.real_crystals import crystals

SETTINGS = FeatureSettings(radius=4.0, moments=2, descriptor="chgnet")
KINDS: dict[str, dict[str, Any]] = {
    "sitenet": {},
    "sitenet_radial": {"cutoff": 4.0, "envelope": True, "moments": 2},
    "cgcnn": {"cutoff": 4.0, "envelope": True},
    "schnet": {},
}
SOME = [crystals()[id_] for id_ in sorted(crystals())[::90]]
ALONE = Crystal("alone", 7.0 * np.eye(3), np.array([17]), np.zeros((1, 3)))  # no neighbours within 6 angstrom
POLONIUM = replace(ALONE, lattice=3.35 * np.eye(3), atomic_numbers=np.array([84]))
every_descriptor = pytest.mark.parametrize("name", DESCRIPTORS)


@pytest.fixture(scope="module", params=KINDS)
def network(request: pytest.FixtureRequest) -> Network:
    torch.manual_seed(2)
    kind = model_kinds()[request.param]
    settings: Any = kind.settings
    return kind.build(settings(**KINDS[request.param], descriptor="chgnet"), False).eval()


def features_of(network: Network) -> FeatureSettings:
    return FeatureSettings(max_sites=50, descriptor="chgnet") if isinstance(network, SiteNet) else SETTINGS


def test_how_far_sites_see_changes_no_descriptors() -> None:
    """A radius that is added to a grid makes none of them anew."""
    entry = {"model": {"kind": "sitenet_radial", "descriptor": "chgnet"}}
    data = {"dataset": {"source": "bundled", "name": "mp_dielectric_gap"}, "splits": {"kind": "kfold"}}
    sets = [
        Benchmark({**data, "grid": [entry | {"features": {"radius": radius, "descriptor": "chgnet"}}]})
        for radius in (4.0, [4.0, 20.0])
    ]
    assert sets[0].descriptor_sets == sets[1].descriptor_sets
    assert sets[0].descriptor_sets["chgnet-0.01"].radius == 4.0


@torch.inference_mode()
def predictions(network: Network, found: list[Crystal], settings: FeatureSettings) -> torch.Tensor:
    return network(collate([featurize(crystal, settings) for crystal in found]))


def test_chgnet_gets_the_graphs_of_its_own_converter() -> None:
    """The same features as by CHGNet alone."""
    ours = descriptor("chgnet")
    assert isinstance(ours, ChgnetSites)
    ours._model.graph_converter.set_isolated_atom_response("ignore")
    for crystal in [*SOME, ALONE]:
        structure = Structure(Lattice(crystal.lattice), crystal.atomic_numbers.tolist(), crystal.frac_coords)
        with torch.no_grad():
            graph = ours._model.graph_converter(structure)
            expected = ours._model([graph], task="e", return_atom_feas=True)["atom_fea"][0].numpy()
        (found,) = ours([crystal])
        assert found.shape == (len(crystal.atomic_numbers), 64)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_sevennet_gets_all_edges_within_its_reach() -> None:
    """The same features as from ASE's neighbours."""
    ours = descriptor("sevennet")
    assert isinstance(ours, SevennetSites)
    for crystal in [*SOME, ALONE]:
        atoms = Atoms(crystal.atomic_numbers, scaled_positions=crystal.frac_coords, cell=crystal.lattice, pbc=True)
        near, far, vectors = neighbor_list("ijD", atoms, 5.0)
        numbers = torch.tensor(atoms.numbers, dtype=torch.int64)
        graph = {
            "x": numbers,
            "atomic_numbers": numbers,
            "edge_index": torch.tensor(np.stack([near, far]), dtype=torch.int64),
            "edge_vec": torch.tensor(vectors, dtype=torch.float32),
            "num_atoms": torch.tensor([len(atoms)]),
            "batch": torch.zeros(len(atoms), dtype=torch.int64),
        }
        with torch.no_grad():
            ours._model(graph)
        expected = ours._features.numpy().copy()
        (found,) = ours([crystal])
        assert found.shape == (len(atoms), 128)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_an_element_that_sevennet_has_never_seen_is_a_reason_of_this_crystal() -> None:
    with pytest.raises(BadCrystal, match="descriptors: SevenNet does not know Po"):
        descriptor("sevennet")([SOME[0], POLONIUM])
    good, bad = _described([SOME[0], POLONIUM], descriptor("sevennet"))
    assert isinstance(good, SiteDescriptors)
    assert bad == "descriptors: SevenNet does not know Po"


def test_an_element_that_chgnet_has_never_seen_is_a_reason_of_this_crystal() -> None:
    americium = replace(POLONIUM, atomic_numbers=np.full_like(POLONIUM.atomic_numbers, 95))
    good, bad = _described([SOME[0], americium], descriptor("chgnet"))
    assert isinstance(good, SiteDescriptors)
    assert bad == "descriptors: CHGNet does not know Am"


@every_descriptor
def test_crystals_in_a_batch_do_not_see_each_other(name: DescriptorName) -> None:
    ours = descriptor(name)
    for one, alone in zip(ours(SOME[:4]), [ours([crystal])[0] for crystal in SOME[:4]], strict=True):
        np.testing.assert_allclose(one, alone, rtol=0, atol=1e-4)


@every_descriptor
def test_descriptors_do_not_change_with_the_axes(name: DescriptorName) -> None:
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turned = [
        replace(crystal, lattice=crystal.lattice @ turn, frac_coords=crystal.frac_coords + 0.3) for crystal in SOME
    ]
    for expected, found in zip(descriptor(name)(SOME), descriptor(name)(turned), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4)


def test_sites_of_one_element_that_agree_are_merged() -> None:
    values = np.zeros((5, 3), dtype=np.float32)
    values[1] = 5e-4  # like site 0
    values[3] = 1e-2
    merged = SiteDescriptors.merged(np.array([8, 8, 14, 8, 14]), values)
    assert merged.of_site.tolist() == [0, 0, 1, 2, 1]
    np.testing.assert_allclose(merged.values[0], 2.5e-4)


@every_descriptor
def test_sites_that_are_equivalent_by_symmetry_are_merged(name: DescriptorName) -> None:
    diamond = Structure.from_spacegroup("Fd-3m", Lattice.cubic(3.57), ["C"], [[0, 0, 0]])
    cell = Crystal("C", diamond.lattice.matrix, np.array(diamond.atomic_numbers), diamond.frac_coords)
    assert len(describe(cell, name).values) == 1


def test_predictions_depend_on_the_crystal_alone(network: Network) -> None:
    """Not on how it is turned, mirrored, shifted, ordered or repeated."""
    settings, turn = features_of(network), np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    expected = predictions(network, SOME, settings)
    assert expected.std() > 1e-3
    changed = []
    for crystal in SOME:
        order = np.random.default_rng(1).permutation(len(crystal.atomic_numbers))
        moved = replace(
            crystal,
            lattice=crystal.lattice @ turn,
            atomic_numbers=crystal.atomic_numbers[order],
            frac_coords=crystal.frac_coords[order] + 0.3,
        )
        structure = Structure(Lattice(moved.lattice), moved.atomic_numbers.tolist(), moved.frac_coords)
        structure.make_supercell([1, 1, 2])
        changed.append(
            Crystal(crystal.id, structure.lattice.matrix, np.array(structure.atomic_numbers), structure.frac_coords)
        )
    torch.testing.assert_close(predictions(network, changed, settings), expected, rtol=0, atol=2e-5)


def test_reduction_changes_no_prediction(network: Network) -> None:
    settings = features_of(network)
    complete = settings.model_copy(update={"distance_tolerance": 0.0})
    torch.testing.assert_close(
        predictions(network, SOME, settings), predictions(network, SOME, complete), rtol=0, atol=1e-5
    )


def test_sites_that_only_the_descriptor_tells_apart_have_classes_of_their_own() -> None:
    crystal = SOME[0]
    cell_sites = len(featurize(crystal, SETTINGS).site_class)
    values = np.arange(cell_sites, dtype=np.float32)[:, None] * np.ones((1, 64), np.float32)
    described = SiteDescriptors(values, np.arange(cell_sites))
    point_set = featurize(crystal, SETTINGS, described)
    assert point_set.site_class.tolist() == list(range(cell_sites))
    np.testing.assert_array_equal(point_set.descriptors, values)


def test_attention_goes_to_the_same_pairs(network: Network) -> None:
    settings = features_of(network)
    point_set = featurize(SOME[0], settings)
    starts = np.repeat(np.cumsum(point_set.row_counts) - point_set.row_counts, point_set.row_counts)
    ends = starts + np.repeat(point_set.row_counts, point_set.row_counts)
    sums = np.concatenate([[0], np.cumsum(point_set.pair_counts)])
    weights = (point_set.pair_counts / (sums[ends] - sums[starts]))[:, None]
    np.testing.assert_allclose(expand_attention(SOME[0], settings, weights).sum(axis=1), 1)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> tuple[CrystalTable, list[Path], list[Path]]:
    """A table whose third crystal has overlapping atoms, its descriptors and its features in two shards."""
    folder = tmp_path_factory.mktemp("shards")
    rows = pq.read_table(bundled_path("mp_dielectric_gap")).slice(0, 6).to_pylist()
    rows[2]["frac_coords"] = [rows[2]["frac_coords"][0]] * len(rows[2]["frac_coords"])
    schema = pq.read_schema(bundled_path("mp_dielectric_gap"))
    pq.write_table(pq.read_table(bundled_path("mp_dielectric_gap")).slice(0, 0).from_pylist(rows, schema), folder / "t")
    table = CrystalTable.open(folder / "t")
    described, features = [], []
    for shard in range(2):
        described.append(folder / f"d{shard}.parquet")
        features.append(folder / f"f{shard}.arrow")
        describe_shard(table, SETTINGS, shard, 2, described[-1])
        featurize_shard(table, SETTINGS, shard, 2, features[-1], described[-1])
    return table, described, features


def test_features_take_in_the_descriptors_of_their_shard(shards: tuple[CrystalTable, list[Path], list[Path]]) -> None:
    table, _, features = shards
    store = FeatureStore(features)
    good = [crystal for number, crystal in enumerate(table.crystals()) if number != 2]
    assert store.ids == [crystal.id for crystal in good]
    for number, crystal in enumerate(good):
        directly = featurize(crystal, SETTINGS)
        np.testing.assert_allclose(store[number].descriptors, directly.descriptors, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(store[number].pair_counts, directly.pair_counts)
    (failure,) = read_failures(failures_path(features[0]))
    assert failure.reason.startswith("overlapping atoms")


def test_descriptors_of_other_crystals_are_refused(
    shards: tuple[CrystalTable, list[Path], list[Path]], tmp_path: Path
) -> None:
    table, described, _ = shards
    with pytest.raises(UserError, match="are of other crystals; delete the file and run again"):
        featurize_shard(table, SETTINGS, 0, 2, tmp_path / "f.arrow", described[1])
    (tmp_path / "d.parquet").write_bytes(described[0].read_bytes()[:-20])
    with pytest.raises(UserError, match="cannot be read"):
        featurize_shard(table, SETTINGS, 0, 2, tmp_path / "f.arrow", tmp_path / "d.parquet")


def test_pooled_descriptors_are_statistics_over_the_sites(
    shards: tuple[CrystalTable, list[Path], list[Path]],
) -> None:
    table, described, _ = shards
    frame = pooled(described, "chgnet", 64).set_index("id")
    assert frame.shape == (6, 256)
    for crystal in table.crystals(3, 6):
        (sites,) = descriptor("chgnet")([crystal])  # these cells are primitive
        found = frame.loc[crystal.id].to_numpy().reshape(4, 64)
        expected = np.stack([sites.mean(axis=0), sites.max(axis=0), sites.min(axis=0), sites.std(axis=0)])
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-3)
    ids = [id_ for path in described for id_, found in read_descriptors(path, 64) if isinstance(found, str)]
    assert frame.index[frame.isna().any(axis=1)].tolist() == ids


def test_a_network_names_the_features_that_it_lacks(network: Network) -> None:
    lacking = features_of(network).model_copy(update={"descriptor": None})
    with pytest.raises(ValueError, match="needs 64 features of sites by chgnet, the features have 0"):
        predictions(network, SOME[:1], lacking)


@every_descriptor
def test_a_missing_package_is_named(name: DescriptorName, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sitenet.settings.descriptors.find_spec", lambda _: None)
    package = DESCRIPTORS[name].package
    with pytest.raises(ValueError, match=f"needs the package {package}, which is not installed: pip install {package}"):
        FeatureSettings(descriptor=name)
