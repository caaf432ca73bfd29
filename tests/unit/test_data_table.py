from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sitenet.data import table
from sitenet.data.table import CrystalTable, bundled_path, copy_rows, write_crystals
from sitenet.errors import UserError

BUNDLED = bundled_path("mp_dielectric_gap")


def test_bundled_data_set_is_the_published_one() -> None:
    crystals = list(CrystalTable.open(BUNDLED).crystals())
    gaps = pq.read_table(BUNDLED)["band_gap"].to_numpy()
    sizes = [len(crystal.atomic_numbers) for crystal in crystals]
    assert len(crystals) == len({crystal.id for crystal in crystals}) == 1056
    assert (gaps.min(), gaps.max(), round(gaps.mean(), 2)) == (0.11, 8.32, 2.12)
    assert (min(sizes), max(sizes)) == (2, 20)
    assert BUNDLED.stat().st_size < 500_000


def test_written_crystals_are_read_back_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "ROW_GROUP", 100)
    written = list(CrystalTable.open(BUNDLED).crystals(0, 250))
    write_crystals(tmp_path / "t.parquet", written)
    read = CrystalTable.open(tmp_path / "t.parquet")
    assert read.ids == [crystal.id for crystal in written]
    for before, after in zip(written, read.crystals(), strict=True):
        assert before.id == after.id
        assert np.array_equal(before.lattice, after.lattice)
        assert np.array_equal(before.atomic_numbers, after.atomic_numbers)
        assert np.array_equal(before.frac_coords, after.frac_coords)


@pytest.mark.parametrize(("start", "stop"), [(0, 3), (95, 205), (240, None), (7, 7), (100, 200), (249, 1000)])
def test_a_range_of_rows_crosses_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: int, stop: int | None
) -> None:
    monkeypatch.setattr(table, "ROW_GROUP", 100)
    write_crystals(tmp_path / "t.parquet", CrystalTable.open(BUNDLED).crystals(0, 250))
    read = CrystalTable.open(tmp_path / "t.parquet")
    assert [crystal.id for crystal in read.crystals(start, stop)] == read.ids[start:stop]


def test_copy_rows_keeps_the_order_of_the_table(tmp_path: Path) -> None:
    ids = CrystalTable.open(BUNDLED).ids
    copy_rows(BUNDLED, tmp_path / "t.parquet", {ids[900], ids[3], ids[500]})
    assert CrystalTable.open(tmp_path / "t.parquet").ids == [ids[3], ids[500], ids[900]]


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("not parquet")
    with pytest.raises(UserError, match=r"other\.parquet is not a crystal table: column 'lattice'"):
        CrystalTable.open(tmp_path / "other.parquet")
    with pytest.raises(UserError, match=r"text\.parquet is not a Parquet file"):
        CrystalTable.open(tmp_path / "text.parquet")
