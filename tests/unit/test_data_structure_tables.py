"""One Parquet or JSON file of structures, good and bad."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Lattice, Structure

from sitenet.data.formula import reduced_formula
from sitenet.data.table import CrystalTable, crystal_columns
from sitenet.data.targets import parse_group
from sitenet.errors import UserError
from tests.own_files import (
    REAL,
    load,
    reasons,
    structure,
)


def records() -> list[dict[str, Any]]:
    return [
        {"id": crystal.id, "target": 1.0 + n, "structure": structure(crystal).as_dict(), "group": "g"}
        for n, crystal in enumerate(REAL)
    ]


def write_json(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.with_suffix(".json").write_text(json.dumps(rows))
    return path.with_suffix(".json")


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    texts = [{**row, "structure": json.dumps(row["structure"])} for row in rows]
    pd.DataFrame(texts).to_parquet(path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


@pytest.mark.parametrize("write", [write_json, write_parquet])
def test_one_file_of_structures(tmp_path: Path, write: Callable[[Path, list], Path]) -> None:
    rows = records()
    rows[0]["target"] = None
    rows[1]["structure"] = {"no": "sites"}
    rows[2]["id"] = None
    load(write(tmp_path / "data", rows), tmp_path / "out")
    assert reasons(tmp_path / "out") == {
        REAL[0].id: "missing target: the field is empty",
        REAL[1].id: "unreadable: not a pymatgen structure (KeyError: 'sites')",
        "row 3": "missing id: the field is empty",
    }
    assert CrystalTable.open(tmp_path / "out" / "structures.parquet").ids == [crystal.id for crystal in REAL[3:]]
    table = pq.read_table(tmp_path / "out" / "targets.parquet")
    assert (table["target"].to_pylist(), set(table["group"].to_pylist())) == ([4.0, 5.0, 6.0], {"g"})


def test_a_crystal_table_with_targets(tmp_path: Path) -> None:
    columns = crystal_columns(REAL) | {"target": pa.array(range(6), pa.int64())}
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    load(tmp_path / "data.parquet", tmp_path / "out")
    for read, real in zip(CrystalTable.open(tmp_path / "out" / "structures.parquet").crystals(), REAL, strict=True):
        assert np.array_equal(read.frac_coords, real.frac_coords)
    assert pq.read_table(tmp_path / "out" / "targets.parquet")["target"].to_pylist() == [0, 1, 2, 3, 4, 5]


def column_rows() -> list[dict[str, Any]]:
    """Rows as pandas writes them: no fixed lengths, atomic numbers of 64 bits."""
    return [
        {
            "id": crystal.id,
            "target": 1.0,
            "lattice": crystal.lattice.ravel().tolist(),
            "atomic_numbers": crystal.atomic_numbers.tolist(),
            "frac_coords": crystal.frac_coords.ravel().tolist(),
        }
        for crystal in REAL
    ]


@pytest.mark.parametrize(
    ("column", "change", "reason"),
    [
        ("frac_coords", lambda values: values[:-3], "unreadable: "),
        ("frac_coords", lambda values: [None, *values[1:]], "unreadable: frac_coords is empty or has empty places"),
        ("frac_coords", lambda _: None, "unreadable: frac_coords is empty or has empty places"),
        ("lattice", lambda _: None, "unreadable: lattice is empty or has empty places"),
        ("lattice", lambda values: values[:6], "unreadable: "),
        ("atomic_numbers", lambda values: [*values, 8], "unreadable: "),
        ("atomic_numbers", lambda values: [300, *values[1:]], "unknown element: atomic number 300"),
    ],
)
def test_a_bad_row_of_columns_fails_alone(tmp_path: Path, column: str, change: Callable, reason: str) -> None:
    rows = column_rows()
    rows[1][column] = change(rows[1][column])
    pd.DataFrame(rows).to_parquet(tmp_path / "data.parquet")
    load(tmp_path / "data.parquet", tmp_path / "out")
    assert reasons(tmp_path / "out").keys() == {REAL[1].id}
    assert reasons(tmp_path / "out")[REAL[1].id].startswith(reason)
    others = [REAL[0], *REAL[2:]]
    for read, real in zip(CrystalTable.open(tmp_path / "out" / "structures.parquet").crystals(), others, strict=True):
        assert np.array_equal(read.frac_coords, real.frac_coords)
        assert np.array_equal(read.lattice, real.lattice)


@pytest.mark.parametrize("write", [write_json, write_parquet])
def test_sites_are_checked_as_in_files(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, write: Callable[[Path, list], Path]
) -> None:
    """A site that is listed again is merged; overlapping sites and cells without room for atoms are refused."""
    rows, cell = records(), Lattice.cubic(5.64)
    again = Structure(cell, ["Na", "Cl", "Na"], [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5], [1.0, 0.0, 0.0]])
    near = Structure(cell, ["Cs", "Cs"], [[0.0, 0.0, 0.0], [0.1, 0.0, 0.0]])
    flat = Structure(Lattice.orthorhombic(0.02, 5, 5), ["Na"], [[0, 0, 0]])
    far = Structure(cell, ["Na"], [[1e20, 0, 0]])
    for row, crystal in zip(rows, (again, near, flat, far), strict=False):
        row["structure"] = crystal.as_dict()
    load(write(tmp_path / "data", rows), tmp_path / "out")
    assert reasons(tmp_path / "out") == {
        REAL[1].id: "unphysical: sites 0 (Cs) and 1 (Cs) are 0.564 angstrom apart",
        REAL[2].id: "unphysical: two faces of the cell are 0.02 angstrom apart",
        REAL[3].id: "unreadable: a fractional coordinate is larger than 1,000,000",
    }
    merged = next(iter(CrystalTable.open(tmp_path / "out" / "structures.parquet").crystals()))
    assert merged.atomic_numbers.tolist() == [11, 17]
    assert f"{REAL[0].id}: 1 of 3 sites are images of others and are merged with them" in caplog.text


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("frac_coords", [[0.0, 0.0, 0.0]], r"'frac_coords' must be list<.*double>; it is list<.*list<.*double>>"),
        ("atomic_numbers", [8.5], r"'atomic_numbers' must be list<.*int64>; it is list<.*double>"),
        ("lattice", "text", r"'lattice' must be list<.*double>; it is (large_)?string"),
    ],
)
def test_a_column_of_another_type_is_named(tmp_path: Path, column: str, value: Any, message: str) -> None:
    pd.DataFrame([row | {column: value} for row in column_rows()]).to_parquet(tmp_path / "data.parquet")
    with pytest.raises(UserError, match=message):
        load(tmp_path / "data.parquet", tmp_path / "out")


def test_groups_may_be_numbers(tmp_path: Path) -> None:
    assert parse_group(float("nan")) is None
    groups = [0, 0, 1, None, "", " "]
    rows = [row | {"group": group} for row, group in zip(records(), groups, strict=True)]
    load(write_json(tmp_path / "data", rows), tmp_path / "out")
    written = pq.read_table(tmp_path / "out" / "targets.parquet")["group"].to_pylist()
    assert written[:3] == ["0", "0", "1"]
    assert written[3:] == [reduced_formula(crystal.atomic_numbers) for crystal in REAL[3:]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data.json", b'[{"id": "a", "tar', "is damaged after 0 crystals"),
        ("data.json", b"{}", "is not a JSON list"),
        ("data.json", b"[" * 100_000, "is damaged after 0 crystals: its brackets are nested too deeply"),
        ("data.json", b'[{"id": "\\\\\\"[[", "a": ' + b'{"b":' * 101, "is damaged after 0 crystals"),
        (
            "data.json",
            b'[{"id": "a", "target": ' + b"9" * 400 + b"}]",
            r"1 of 1 crystals cannot be used \(1 bad target\)",
        ),
        (
            "data.json",
            b'[{"id": "a", "target": 1.0}, {"id": "b", "target": 1.0, "target": 2.0}]',
            "crystal 2 has the key 'target' twice: keep the one that counts",
        ),
        ("data.json", b'[{"structure": {"lattice": {"a": 1, "a": 2}}}]', "crystal 1 has the key 'a' twice"),
        ("data.parquet", b"text", "is not a Parquet file"),
    ],
)
def test_damaged_tables_are_one_clear_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        load(tmp_path / name, tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_a_parquet_file_without_structures_names_the_column(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"], "target": [1.0]}), tmp_path / "data.parquet")
    with pytest.raises(UserError, match="lacks the column 'structure'; it has id, target"):
        load(tmp_path / "data.parquet", tmp_path / "out")


def test_a_parquet_file_that_is_damaged_within_is_one_clear_line(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "data", records())
    content = bytearray(path.read_bytes())
    start = pq.ParquetFile(path).metadata.row_group(0).column(2).data_page_offset
    content[start : start + 400] = bytes(400)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"data\.parquet is damaged after 0 crystals: ") as caught:
        load(path, tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_a_row_of_text_that_is_not_utf_8_fails_alone(tmp_path: Path) -> None:
    ids = [crystal.id.encode() for crystal in REAL]
    ids[2] = b"M\xfcller"
    columns = crystal_columns(REAL) | {"target": pa.array(range(6), pa.int64())}
    offsets = np.cumsum([0, *map(len, ids)], dtype=np.int32)
    columns["id"] = pa.StringArray.from_buffers(6, pa.py_buffer(offsets.tobytes()), pa.py_buffer(b"".join(ids)))
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    load(tmp_path / "data.parquet", tmp_path / "out")
    assert reasons(tmp_path / "out") == {"row 3": "unreadable: its text is not UTF-8 (invalid start byte)"}


def test_a_doubled_column_is_refused(tmp_path: Path) -> None:
    columns = [pa.array(["a"]), pa.array([1.0]), pa.array([2.0]), pa.array(["{}"])]
    pq.write_table(pa.Table.from_arrays(columns, ["id", "target", "target", "structure"]), tmp_path / "data.parquet")
    with pytest.raises(UserError, match="has the column 'target' twice"):
        load(tmp_path / "data.parquet", tmp_path / "out")


def test_a_structure_nested_deeply_in_a_row_is_listed(tmp_path: Path) -> None:
    rows = records()
    rows[1]["structure"] = "[" * 100_000
    load(write_json(tmp_path / "data", rows), tmp_path / "out")
    assert reasons(tmp_path / "out")[REAL[1].id].startswith("unreadable: the structure is not JSON (maximum recursion")
