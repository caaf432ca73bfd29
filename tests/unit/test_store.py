"""Feature shards: what was written is read back without copies, damage is found and named."""

import logging
import pickle
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from sitenet.data.crystal import Crystal
from sitenet.data.table import CrystalTable, write_crystals
from sitenet.errors import UserError
from sitenet.failures import read_failures
from sitenet.features import progress, shard, store
from sitenet.features.featurize import featurize
from sitenet.features.point_set import PointSet
from sitenet.features.shard import collect, featurize_shard
from sitenet.features.store import CHANGED, FeatureStore, failures_path, manifest_path, verify_shard, write_shard
from sitenet.settings.features import FeatureSettings
from tests.real_crystals import crystals as real_crystals

SETTINGS = FeatureSettings(max_sites=30)
CRYSTALS = list(real_crystals().values())[:90:3]
BAD = replace(CRYSTALS[0], id="bad", atomic_numbers=np.full(len(CRYSTALS[0].atomic_numbers), 200, np.uint8))


@pytest.fixture
def table(tmp_path: Path) -> CrystalTable:
    """30 real crystals and, in their midst, one of an unknown element."""
    path = tmp_path / "structures.parquet"
    write_crystals(path, [*CRYSTALS[:10], BAD, *CRYSTALS[10:]])
    return CrystalTable.open(path)


def write_shards(table: CrystalTable, folder: Path, n_shards: int) -> list[Path]:
    shards = [folder / f"shard{number}of{n_shards}.arrow" for number in range(n_shards)]
    for number, path in enumerate(shards):
        featurize_shard(table, SETTINGS, number, n_shards, path)
    return shards


def assert_equal(left: PointSet, right: PointSet) -> None:
    for field in fields(PointSet):
        np.testing.assert_array_equal(getattr(left, field.name), getattr(right, field.name))


def test_round_trip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "PAIRS_PER_BATCH", 500)
    point_sets = [featurize(crystal, SETTINGS) for crystal in CRYSTALS]
    manifests = [
        write_shard(tmp_path / "a.arrow", point_sets[:7]),
        write_shard(tmp_path / "b.arrow", point_sets[7:]),
    ]
    features = FeatureStore([tmp_path / "a.arrow", tmp_path / "b.arrow"])
    assert features.ids == [crystal.id for crystal in CRYSTALS]
    assert features.n_pairs.tolist() == [len(p.distances) for p in point_sets]
    assert sum(manifest.pairs for manifest in manifests) == features.n_pairs.sum()
    for index, expected in enumerate(point_sets):
        assert_equal(features[index], replace(expected, distances=expected.distances.astype(np.float32)))
    ids = [expected.id for expected in point_sets]
    assert features.indices_of(ids).tolist() == list(range(len(point_sets)))
    assert features.has([*ids[:2], "none"]).tolist() == [True, True, False]
    with pytest.raises(KeyError):
        features.indices_of(["none"])
    with pytest.raises(IndexError, match="crystal 30 of a store of 30"):
        features[30]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux lists a process's mapped files")
def test_arrays_are_views_of_the_mapped_file(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.arrow", [featurize(crystal, SETTINGS) for crystal in CRYSTALS])
    features = FeatureStore([tmp_path / "a.arrow"])
    mapped = [line for line in Path("/proc/self/maps").read_text().splitlines() if "a.arrow" in line]
    low, high = (int(bound, 16) for bound in mapped[0].split()[0].split("-"))
    for name in store.LISTS:
        values = getattr(features[4], name)
        assert low <= values.ctypes.data < high
        assert not values.flags.writeable


def test_a_store_is_sent_to_workers_as_paths(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.arrow", [featurize(crystal, SETTINGS) for crystal in CRYSTALS])
    sent = pickle.dumps(FeatureStore([tmp_path / "a.arrow"]))
    assert len(sent) < 500
    assert pickle.loads(sent).ids == [crystal.id for crystal in CRYSTALS]


def test_content_does_not_depend_on_the_number_of_shards(table: CrystalTable, tmp_path: Path) -> None:
    one, many = (write_shards(table, tmp_path / str(n), n) for n in (1, 7))
    left, right = FeatureStore(one), FeatureStore(many)
    assert left.ids == right.ids
    for index in range(len(left)):
        assert_equal(left[index], right[index])


def test_same_input_same_bytes(table: CrystalTable, tmp_path: Path) -> None:
    left, right = (write_shards(table, tmp_path / name, 2) for name in ("left", "right"))
    assert [path.read_bytes() for path in left] == [path.read_bytes() for path in right]


def test_more_shards_than_crystals(tmp_path: Path) -> None:
    write_crystals(tmp_path / "two.parquet", CRYSTALS[:2])
    shards = write_shards(CrystalTable.open(tmp_path / "two.parquet"), tmp_path, 5)
    assert collect(shards, 2, 0, tmp_path / "failures.csv").crystals == 2
    assert FeatureStore(shards).ids == [crystal.id for crystal in CRYSTALS[:2]]
    assert len(FeatureStore([shards[0]])) == 0


def test_failures_are_listed_and_the_rest_goes_on(table: CrystalTable, tmp_path: Path) -> None:
    shards = write_shards(table, tmp_path, 3)
    manifest = collect(shards, 31, 0.1, tmp_path / "failures.csv")
    assert manifest.crystals == 30
    assert manifest.failures == {"unknown element": 1}
    assert (tmp_path / "failures.csv").read_text().splitlines() == [
        "id,stage,reason",
        "bad,features,unknown element: atomic number 200 is not in 1..118",
    ]


def test_too_many_failures_stop_the_run(table: CrystalTable, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"1 of 31 crystals cannot be featurized, more than .* = 0\.01"):
        collect(write_shards(table, tmp_path, 2), 31, 0.01, tmp_path / "failures.csv")


def test_lost_crystals_are_noticed(table: CrystalTable, tmp_path: Path) -> None:
    shards = write_shards(table, tmp_path, 2)
    with pytest.raises(UserError, match="have 16 crystals and 0 failures, but the crystal table has 31 rows"):
        collect(shards[1:], 31, 1, tmp_path / "failures.csv")


def test_a_truncated_shard_is_named_on_opening(table: CrystalTable, tmp_path: Path) -> None:
    shards = write_shards(table, tmp_path, 2)
    shards[1].write_bytes(shards[1].read_bytes()[:-100])
    with pytest.raises(UserError, match=r"shard1of2.arrow is damaged: [\d,]+ bytes instead of"):
        FeatureStore(shards)


def test_damaged_shards_are_all_named(table: CrystalTable, tmp_path: Path) -> None:
    shards = write_shards(table, tmp_path, 4)
    content = bytearray(shards[0].read_bytes())
    content[len(content) // 2] ^= 1
    shards[0].write_bytes(content)
    manifest_path(shards[2]).unlink()
    shards[3].unlink()
    with pytest.raises(UserError) as caught:
        collect(shards, 31, 1, tmp_path / "failures.csv")
    for message in (
        "shard0of4.arrow is damaged: its SHA-256 differs",
        "shard2of4.arrow is incomplete: shard2of4.json is missing",
        "shard3of4.arrow is incomplete: shard3of4.arrow is missing",
    ):
        assert message in str(caught.value)
    assert "shard1of4" not in str(caught.value)


def test_a_killed_job_leaves_no_shard_and_no_old_manifest(tmp_path: Path) -> None:
    path = tmp_path / "shard0of1.arrow"
    write_shard(path, [featurize(CRYSTALS[0], SETTINGS)])

    def killed() -> Iterator[PointSet]:
        yield featurize(CRYSTALS[1], SETTINGS)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shard(path, killed())
    with pytest.raises(UserError, match=r"shard0of1\.json is missing"):
        FeatureStore([path])
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in (path, failures_path(path)))
    write_shard(path, [featurize(CRYSTALS[1], SETTINGS)])
    assert verify_shard(path).crystals == 1


def test_an_id_occurs_once(tmp_path: Path) -> None:
    for name in ("a.arrow", "b.arrow"):
        write_shard(tmp_path / name, [featurize(CRYSTALS[0], SETTINGS)])
    with pytest.raises(UserError, match="1 ids occur more than once"):
        FeatureStore([tmp_path / "a.arrow", tmp_path / "b.arrow"])


def test_progress_tells_rate_and_time_left(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    clock = iter(np.arange(0, 100, 3.0))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    caplog.set_level(logging.INFO, "sitenet")
    crystals: list[Crystal] = list(progress.with_progress(CRYSTALS[:4], 4, "shard 0 of 1"))
    assert crystals == CRYSTALS[:4]
    assert caplog.messages == [
        "shard 0 of 1: 3 of 4 crystals, 0.3 a second, 3 s left",
        "shard 0 of 1: 4 crystals in 15.0 s",
    ]


def test_whatever_one_crystal_brings_about_costs_no_other(
    table: CrystalTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fragile(crystal: Crystal, settings: FeatureSettings, described: None) -> PointSet:
        if crystal.id == CRYSTALS[3].id:
            raise np.linalg.LinAlgError("singular matrix")
        return featurize(crystal, settings, described)

    monkeypatch.setattr(shard, "featurize", fragile)
    (path,) = write_shards(table, tmp_path, 1)
    reasons = {failure.id: failure.reason for failure in read_failures(failures_path(path))}
    assert set(reasons) == {"bad", CRYSTALS[3].id}
    assert reasons[CRYSTALS[3].id] == "unexpected error: LinAlgError: singular matrix"


def test_crystals_whose_distortion_is_averaged_away_are_counted(tmp_path: Path) -> None:
    write_crystals(tmp_path / "few.parquet", [real_crystals()[id_] for id_ in ("mp-9064", "mp-714882", "mp-252")])
    paths = write_shards(CrystalTable.open(tmp_path / "few.parquet"), tmp_path, 2)
    assert collect(paths, 3, 0, tmp_path / "failures.csv").changed == 1
    assert [FeatureStore(paths)[index].distortion > CHANGED for index in range(3)] == [True, False, False]
