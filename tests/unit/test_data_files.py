"""The user's own files, good and bad; structures are those of bundled crystals."""

import csv
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Structure
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Poscar

from sitenet.config.data import FilesDataset
from sitenet.data import containers
from sitenet.data.crystal import Crystal
from sitenet.data.load import load_dataset
from sitenet.data.manifest import Manifest
from sitenet.data.table import CrystalTable, bundled_path, crystal_columns
from sitenet.errors import UserError

REAL = list(CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals(0, 6))


def structure(crystal: Crystal) -> Structure:
    return Structure(crystal.lattice, crystal.atomic_numbers.tolist(), crystal.frac_coords)


def extxyz(crystal: Crystal) -> str:
    sites = structure(crystal)
    lattice = " ".join(map(repr, crystal.lattice.ravel().tolist()))
    rows = [f"{site.specie.symbol} {site.x:.12f} {site.y:.12f} {site.z:.12f} 0.0 0.0 0.0" for site in sites]
    comment = f'Lattice="{lattice}" Properties=species:S:1:pos:R:3:forces:R:3 energy=-1.5 pbc="T T T"'
    return "\n".join([str(len(rows)), comment, *rows]) + "\n"


FORMATS: dict[str, Callable[[Crystal], str]] = {
    "a.cif": lambda crystal: str(CifWriter(structure(crystal), significant_figures=12)),
    "POSCAR_b": lambda crystal: Poscar(structure(crystal)).get_str(significant_figures=16),
    "c.vasp": lambda crystal: Poscar(structure(crystal)).get_str(significant_figures=16),
    "d.extxyz": extxyz,
    "sub/e.xyz": extxyz,
    "f.json": lambda crystal: json.dumps(structure(crystal).as_dict()),
}
GOOD = {name: write(crystal) for (name, write), crystal in zip(FORMATS.items(), REAL, strict=True)}


def table_of(rows: list[list[Any]], header: tuple[str, ...] = ("file", "target")) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue()


def as_folder(path: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def as_zip(path: Path, files: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path.with_suffix(".zip")


def load(path: Path, out: Path, **values: Any) -> Manifest:
    defaults: dict[str, Any] = {
        "source": "files",
        "name": "mine",
        "target": "hardness",
        "unit": "GPa",
        "max_failed_share": 0.95,
    }
    return load_dataset(FilesDataset(**defaults | {"path": str(path)} | values), out)


def reasons(out: Path) -> dict[str, str]:
    with (out / "failures.csv").open(newline="") as file:
        return {row["id"]: row["reason"] for row in csv.DictReader(file)}


def sorted_distances(crystal: Crystal) -> np.ndarray:
    return np.sort(structure(crystal).distance_matrix.ravel())


@pytest.mark.parametrize("pack", [as_folder, as_zip])
def test_every_format_is_read(tmp_path: Path, pack: Callable[[Path, dict], Path]) -> None:
    targets = {name: 1.5 + n for n, name in enumerate(GOOD)}
    path = pack(
        tmp_path / "data",
        {
            **GOOD,
            "targets.csv": table_of([[*row] for row in targets.items()]),
            "README.txt": "not a structure",
        },
    )
    manifest = load(path, tmp_path / "out")
    assert (manifest.counts.rows, manifest.counts.kept) == (6, 6)
    assert (manifest.target, manifest.unit, manifest.non_negative) == ("hardness", "GPa", False)
    table = pq.read_table(tmp_path / "out" / "targets.parquet").to_pydict()
    assert dict(zip(table["id"], table["target"], strict=True)) == targets
    for read, real in zip(CrystalTable.open(tmp_path / "out" / "structures.parquet").crystals(), REAL, strict=True):
        assert sorted(read.atomic_numbers) == sorted(real.atomic_numbers)
        assert abs(np.linalg.det(read.lattice)) == pytest.approx(abs(np.linalg.det(real.lattice)), rel=1e-8)
        assert sorted_distances(read) == pytest.approx(sorted_distances(real), abs=1e-6)


def test_ids_groups_and_a_table_elsewhere(tmp_path: Path) -> None:
    folder = as_folder(tmp_path / "data", {name: GOOD[name] for name in ("a.cif", "f.json")})
    header = ("id", "file", "target", "group")
    rows = [["first", "a.cif", "1", "g"], ["second", "f.json", " 2e-1 ", ""]]
    (tmp_path / "mine.csv").write_bytes(b"\xef\xbb\xbf" + table_of(rows, header).encode())
    load(folder, tmp_path / "out", targets=str(tmp_path / "mine.csv"))
    table = pq.read_table(tmp_path / "out" / "targets.parquet").to_pydict()
    assert table["id"] == ["first", "second"]
    assert table["target"] == [1.0, 0.2]
    assert table["group"][0] == "g"
    assert table["group"][1] not in ("", "g")


DISORDERED = GOOD["a.cif"].replace("  1\n", "  0.5\n")
VASP4 = "no symbols\n1.0\n4 0 0\n0 4 0\n0 0 4\n1 1\ndirect\n0 0 0\n0.5 0.5 0.5\n"
BAD_FILES: dict[str, tuple[str | bytes, str]] = {
    "empty.cif": ("", "unreadable: empty.cif"),
    "text.vasp": ("no structure at all", "unreadable: text.vasp"),
    "binary.cif": (bytes(range(256)), "unreadable: binary.cif: UnicodeDecodeError"),
    "half.json": (GOOD["f.json"][:200], "unreadable: half.json: JSONDecodeError"),
    "other.json": ('{"a": 1}', "unreadable: not a pymatgen structure"),
    "disordered.cif": (DISORDERED, "disordered: site"),
    "two.cif": (
        GOOD["a.cif"] + GOOD["a.cif"].replace("data_", "data_2"),
        "unreadable: the file holds 2 structures",
    ),
    "no_cell.xyz": ("1\n\nSi 0 0 0\n", 'unreadable: the second line has no Lattice="..."'),
    "short.xyz": (GOOD["d.extxyz"].rsplit("\n", 2)[0], "sites are announced"),
    "no_symbols.vasp": (VASP4, "unreadable: no_symbols.vasp: BadPoscarWarning"),
    "notes.docx": ("hello", "unreadable: notes.docx is none of .cif"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_an_unreadable_file_is_listed_and_the_others_are_used(tmp_path: Path, name: str) -> None:
    content, reason = BAD_FILES[name]
    files = {"f.json": GOOD["f.json"], name: content, "targets.csv": table_of([["f.json", 1], [name, 1]])}
    manifest = load(as_folder(tmp_path / "data", files), tmp_path / "out")
    assert reason in reasons(tmp_path / "out")[name]
    assert manifest.counts.kept == 1


def test_bad_rows_are_listed(tmp_path: Path) -> None:
    rows = [
        ["a.cif", ""],
        ["c.vasp", "high"],
        ["d.extxyz", "inf"],
        ["absent.cif", "1"],
        ["", "1"],
        ["sub/e.xyz", "NaN"],
        ["f.json", "1"],
    ]
    path = as_folder(tmp_path / "data", {**GOOD, "targets.csv": table_of(rows)})
    load(path, tmp_path / "out")
    assert reasons(tmp_path / "out") == {
        "a.cif": "missing target: the field is empty",
        "c.vasp": "bad target: 'high' is not a number",
        "d.extxyz": "bad target: inf is not a finite number",
        "absent.cif": "missing file: absent.cif",
        "": "missing file: the field is empty",
        "sub/e.xyz": "missing target: the field is empty",
        "POSCAR_b": "missing target: the table of targets has no row for this file",
    }


def test_duplicate_rows_fail_together(tmp_path: Path) -> None:
    rows = [["a.cif", 1], ["f.json", 2], ["a.cif", 3]]
    files = {"a.cif": GOOD["a.cif"], "f.json": GOOD["f.json"], "targets.csv": table_of(rows)}
    manifest = load(as_folder(tmp_path / "data", files), tmp_path / "out")
    assert manifest.failures == {"duplicate id": 2}
    assert pq.read_table(tmp_path / "out" / "targets.parquet")["id"].to_pylist() == ["f.json"]


ESCAPES = ["../outside.json", "/etc/passwd", "sub/../../outside.json", "..\\outside.json"]


@pytest.mark.parametrize("pack", [as_folder, as_zip])
@pytest.mark.parametrize("name", ESCAPES)
def test_paths_that_escape_are_not_followed(tmp_path: Path, pack: Callable[[Path, dict], Path], name: str) -> None:
    (tmp_path / "outside.json").write_text(GOOD["f.json"])
    path = pack(tmp_path / "data", {"f.json": GOOD["f.json"], "targets.csv": table_of([["f.json", 1], [name, 1]])})
    load(path, tmp_path / "out")
    assert set(reasons(tmp_path / "out")) == {name}


def test_archive_members_that_escape_are_neither_read_nor_written(tmp_path: Path) -> None:
    files = {
        "f.json": GOOD["f.json"],
        "../evil.json": GOOD["f.json"],
        "targets.csv": table_of([["f.json", 1], ["../evil.json", 1]]),
    }
    load(as_zip(tmp_path / "data", files), tmp_path / "out")
    assert reasons(tmp_path / "out") == {"../evil.json": "unreadable: ../evil.json leads out of the archive"}
    assert not (tmp_path.parent / "evil.json").exists()


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside.json").write_text(GOOD["f.json"])
    path = as_folder(
        tmp_path / "data",
        {"f.json": GOOD["f.json"], "targets.csv": table_of([["f.json", 1], ["link.json", 1]])},
    )
    (path / "link.json").symlink_to(tmp_path / "outside.json")
    load(path, tmp_path / "out")
    assert "outside the data set's folder" in reasons(tmp_path / "out")["link.json"]


@pytest.mark.parametrize("pack", [as_folder, as_zip])
def test_huge_files_are_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[Path, dict], Path]
) -> None:
    monkeypatch.setattr(containers, "MAX_FILE", 2_000_000)
    files = {
        "f.json": GOOD["f.json"],
        "bomb.cif": b"0" * 2_000_001,
        "targets.csv": table_of([["f.json", 1], ["bomb.cif", 1]]),
    }
    load(pack(tmp_path / "data", files), tmp_path / "out")
    assert reasons(tmp_path / "out") == {"bomb.cif": "too large: bomb.cif has more than 2 MB"}


def test_damaged_archive_members_are_listed(tmp_path: Path) -> None:
    files = {
        "f.json": GOOD["f.json"],
        "targets.csv": table_of([["f.json", 1], ["a.cif", 1]]),
        "a.cif": GOOD["a.cif"],
    }
    path = as_zip(tmp_path / "data", files)
    content = bytearray(path.read_bytes())
    start = content.rindex(b"a.cif", 0, content.index(b"PK\x01\x02")) + len(b"a.cif")
    content[start + 20 : start + 60] = bytes(40)
    path.write_bytes(content)
    load(path, tmp_path / "out")
    assert reasons(tmp_path / "out")["a.cif"].startswith("unreadable: a.cif:")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.cif": GOOD["a.cif"]}, r"needs targets\.csv in it, or dataset\.targets"),
        ({"targets.csv": "file,value\na.cif,1\n"}, "lacks the column 'target'; it has file, value"),
        ({"targets.csv": b"file,target\n\xff\xfe,1\n"}, "not a CSV file in UTF-8"),
        ({"targets.csv": "file,target\n"}, "0 of 0 crystals"),
    ],
)
def test_a_useless_table_is_one_clear_line(tmp_path: Path, files: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load(as_folder(tmp_path / "data", files), tmp_path / "out")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "message"), [("nowhere", "does not exist"), ("x.tar", "neither a folder nor")])
def test_unknown_paths_are_named(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "x.tar").write_bytes(b"x")
    with pytest.raises(UserError, match=message):
        load(tmp_path / name, tmp_path / "out")


def test_a_checksum_covers_table_and_structures(tmp_path: Path) -> None:
    path = as_folder(tmp_path / "data", {"f.json": GOOD["f.json"], "targets.csv": table_of([["f.json", 1]])})
    first = load(path, tmp_path / "out").sha256
    (path / "notes.txt").write_text("irrelevant")
    assert load(path, tmp_path / "out").sha256 == first
    (path / "f.json").write_text(json.dumps(structure(REAL[0]).as_dict()))
    assert load(path, tmp_path / "out").sha256 != first


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


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data.json", b'[{"id": "a", "tar', "is damaged after 0 crystals"),
        ("data.json", b"{}", "is not a JSON list"),
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
