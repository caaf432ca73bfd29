import csv
import hashlib
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.load import load_dataset
from sitenet.data.manifest import Manifest
from sitenet.data.sources.base import Provenance, Source, SourceRow
from sitenet.data.sources.bundled import BundledDataset
from sitenet.data.table import CrystalTable, bundled_path
from sitenet.errors import UserError

Load = Callable[..., Manifest]
REAL = list(islice(CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals(), 40))


def settings(**values: Any) -> BundledDataset:
    return BundledDataset(source="bundled", name="mp_dielectric_gap", **values)


def good(n: int) -> list[SourceRow]:
    return [SourceRow(crystal.id, crystal, 1.0 + i) for i, crystal in enumerate(REAL[:n])]


@pytest.fixture
def load_entries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Load:
    """Runs `load_dataset` on given entries in place of the bundled ones."""

    def run(rows: list[SourceRow], **values: Any) -> Manifest:
        provenance = Provenance(version="1", url="u", sha256="s", licence="l", citation="c")
        monkeypatch.setattr(BundledDataset, "open", lambda *_: Source(provenance, iter(rows)))
        return load_dataset(settings(**values), tmp_path / "out")

    return run


def failures(folder: Path) -> list[list[str]]:
    with (folder / "out" / "failures.csv").open(newline="") as file:
        return list(csv.reader(file))


def ids(folder: Path) -> list[str]:
    table = pq.read_table(folder / "out" / "targets.parquet")
    assert CrystalTable.open(folder / "out" / "structures.parquet").ids == table["id"].to_pylist()
    return table["id"].to_pylist()


def test_bundled_data_set_is_loaded_whole(tmp_path: Path) -> None:
    manifest = load_dataset(settings(), tmp_path / "out")
    assert Manifest.read(tmp_path / "out" / "manifest.json") == manifest
    assert (manifest.counts.rows, manifest.counts.kept, manifest.counts.failed) == (1056, 1056, 0)
    assert (manifest.target, manifest.unit, manifest.non_negative) == ("band_gap", "eV", True)
    structures = (tmp_path / "out" / "structures.parquet").read_bytes()
    assert manifest.structures_sha256 == hashlib.sha256(structures).hexdigest()
    assert failures(tmp_path) == [["id", "stage", "reason"]]
    assert len(ids(tmp_path)) == 1056


def test_loading_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (load_dataset(settings(max_crystals=30), tmp_path / name) for name in "ab")
    assert first == second


def crystal(**changes: NDArray) -> Crystal:
    values = vars(REAL[0]) | changes
    return Crystal(**values)


def element(atomic_number: int) -> Crystal:
    numbers = REAL[0].atomic_numbers.astype(np.int64)
    numbers[0] = atomic_number
    return crystal(atomic_numbers=numbers)


NO_SITES: dict[str, NDArray] = {"atomic_numbers": np.zeros(0, np.uint8), "frac_coords": np.zeros((0, 3))}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (SourceRow("x", BadCrystal("disordered: site 1 holds Fe 0.5"), 1.0), "disordered: site 1 holds Fe 0.5"),
        (SourceRow("x", crystal(**NO_SITES), 1.0), "empty: the structure has no sites"),
        (SourceRow("x", crystal(lattice=np.diag([5, 5, 0])), 1.0), "unreadable: the cell has no volume"),
        (
            SourceRow("x", crystal(lattice=np.diag([5, 5, np.nan])), 1.0),
            "unreadable: lattice or coordinates are not finite",
        ),
        (
            SourceRow("x", crystal(lattice=np.diag([5, 5, 1e160])), 1.0),
            "unreadable: the cell is larger than 10000 angstrom",
        ),
        (SourceRow("x", element(0), 1.0), "unknown element: atomic number 0 is not in 1..118"),
        (SourceRow("x", element(300), 1.0), "unknown element: atomic number 300 is not in 1..118"),
        (SourceRow("x", REAL[0], float("nan")), "bad target: nan is not a finite number"),
        (SourceRow("x", REAL[0], float("-inf")), "bad target: -inf is not a finite number"),
        (SourceRow("x", REAL[0], -0.5), "bad target: -0.5 is negative, but band_gap is non-negative"),
    ],
)
def test_an_unusable_row_is_listed_with_its_reason(
    load_entries: Load, tmp_path: Path, entry: SourceRow, reason: str
) -> None:
    manifest = load_entries([*good(3), entry], max_failed_share=0.5)
    assert failures(tmp_path)[1:] == [["x", "data", reason]]
    assert manifest.failures == {reason.split(":")[0]: 1}
    assert ids(tmp_path) == [crystal.id for crystal in REAL[:3]]


def test_too_large_crystals_name_the_limit(load_entries: Load, tmp_path: Path) -> None:
    sizes = {crystal.id: len(crystal.atomic_numbers) for crystal in REAL}
    limit = sorted(sizes.values())[20]
    load_entries(good(40), max_sites=limit, max_failed_share=1)
    assert ids(tmp_path) == [id_ for id_, n in sizes.items() if n <= limit]
    assert failures(tmp_path)[1:] == [
        [id_, "data", f"too large: {n} sites, the limit is {limit} (dataset.max_sites)"]
        for id_, n in sizes.items()
        if n > limit
    ]


def test_every_row_of_a_repeated_id_fails_once(load_entries: Load, tmp_path: Path) -> None:
    first, *others = good(5)
    broken = SourceRow(first.id, BadCrystal("unreadable: no lattice"), 1.0)
    manifest = load_entries([first, *others, first, broken], max_failed_share=0.5)
    reason = "duplicate id: 3 rows have it"
    assert sorted(failures(tmp_path)[1:]) == sorted(
        [[first.id, "data", reason], [first.id, "data", reason], [first.id, "data", "unreadable: no lattice"]]
    )
    assert ids(tmp_path) == [entry.id for entry in others]
    assert (manifest.counts.rows, manifest.counts.kept, manifest.counts.failed) == (7, 4, 3)


def test_unlabelled_crystals_are_kept_and_counted(load_entries: Load, tmp_path: Path) -> None:
    manifest = load_entries([*good(3), SourceRow("x", REAL[3], None)])
    assert manifest.counts.unlabelled == 1
    assert pq.read_table(tmp_path / "out" / "targets.parquet")["target"].to_pylist() == [1.0, 2.0, 3.0, None]


def test_too_many_failures_stop_with_counts_and_the_list(load_entries: Load, tmp_path: Path) -> None:
    bad = [SourceRow(str(i), BadCrystal("unreadable: no lattice"), 1.0) for i in range(2)]
    message = r"2 of 10 crystals cannot be used \(2 unreadable\), while .* is 0\.1; see .*unusable\.csv"
    with pytest.raises(UserError, match=message):
        load_entries(good(8) + bad, max_failed_share=0.1)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["unusable.csv"]
    assert len((tmp_path / "out" / "unusable.csv").read_text().splitlines()) == 3
    load_entries(good(8) + bad, max_failed_share=0.2)
    assert not (tmp_path / "out" / "unusable.csv").exists()


def test_no_usable_crystal_stops_whatever_the_share(load_entries: Load) -> None:
    with pytest.raises(UserError, match="1 of 1 crystals cannot be used"):
        load_entries([SourceRow("x", BadCrystal("unreadable: no lattice"), 1.0)], max_failed_share=1)
    with pytest.raises(UserError, match=r"0 of 0 crystals cannot be used \(there is none\)"):
        load_entries([])


def test_subsets_are_nested_and_seeded(load_entries: Load, tmp_path: Path) -> None:
    def subset(n: int, seed: int) -> list[str]:
        manifest = load_entries(good(40), max_crystals=n, subset_seed=seed)
        assert manifest.counts.left_out == 40 - n
        assert manifest.filters == {"max_crystals": n}
        return ids(tmp_path)

    small, large, other = subset(10, 0), subset(20, 0), subset(10, 1)
    assert len(small) == 10
    assert set(small) < set(large)
    assert set(small) != set(other)


def test_groups_are_reduced_formulas_unless_given(load_entries: Load, tmp_path: Path) -> None:
    load_entries([SourceRow("a", REAL[0], 1.0), SourceRow("b", REAL[1], 1.0, group="mine")])
    assert pq.read_table(tmp_path / "out" / "targets.parquet")["group"].to_pylist() == ["Rb2Te", "mine"]


@pytest.mark.parametrize(
    ("name", "rows", "target", "unit", "non_negative", "id_", "value"),
    [
        ("mp_dielectric_index", 1056, "refractive_index", "", True, "mp-441", 1.86),
        ("mp_dielectric_ewald", 729, "ewald_energy", "eV/site", False, "mp-22916", -4.175),
        ("mp_dielectric_screened", 729, "screened_energy", "eV/site", False, "mp-22916", -0.424),
    ],
)
def test_bundled_crystals_have_other_targets(
    tmp_path: Path, name: str, rows: int, target: str, unit: str, non_negative: bool, id_: str, value: float
) -> None:
    """A crystal without the target is left out; the others keep the structure that belongs to their id."""
    manifest = load_dataset(BundledDataset(source="bundled", name=name), tmp_path / "out")
    assert (manifest.counts.rows, manifest.counts.kept, manifest.counts.unlabelled) == (rows, rows, 0)
    assert (manifest.target, manifest.unit, manifest.non_negative) == (target, unit, non_negative)
    table = pq.read_table(tmp_path / "out" / "targets.parquet")
    targets = dict(zip(table["id"].to_pylist(), table["target"].to_pylist(), strict=True))
    assert targets[id_] == pytest.approx(value, abs=0.005)
    stored = CrystalTable.open(tmp_path / "out" / "structures.parquet").crystals()
    bundled = {crystal.id: crystal for crystal in CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals()}
    assert all(np.array_equal(crystal.lattice, bundled[crystal.id].lattice) for crystal in stored)
