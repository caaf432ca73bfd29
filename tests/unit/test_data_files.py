"""The user's own files, good and bad; structures are those of bundled crystals."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sitenet.data.formula import standard_formula
from sitenet.data.table import CrystalTable
from sitenet.errors import UserError
from tests.own_files import (
    GOOD,
    REAL,
    as_folder,
    as_zip,
    load,
    reasons,
    sorted_distances,
    structure,
    table_of,
)


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
    assert table["file"] == list(GOOD)
    for read, real in zip(CrystalTable.open(tmp_path / "out" / "structures.parquet").crystals(), REAL, strict=True):
        assert sorted(read.atomic_numbers) == sorted(real.atomic_numbers)
        assert abs(np.linalg.det(read.lattice)) == pytest.approx(abs(np.linalg.det(real.lattice)), rel=1e-8)
        assert sorted_distances(read) == pytest.approx(sorted_distances(real), abs=1e-6)


@pytest.mark.parametrize("missing", ["", "nan", "None", "NULL"])
def test_ids_groups_and_a_table_elsewhere(tmp_path: Path, missing: str) -> None:
    folder = as_folder(tmp_path / "data", {name: GOOD[name] for name in ("a.cif", "f.json")})
    header = ("id", "file", "target", "group")
    rows = [["first", "a.cif", "1", "g"], ["second", "f.json", " 2e-1 ", missing]]
    (tmp_path / "mine.csv").write_bytes(b"\xef\xbb\xbf" + table_of(rows, header).encode())
    load(folder, tmp_path / "out", targets=str(tmp_path / "mine.csv"))
    table = pq.read_table(tmp_path / "out" / "targets.parquet").to_pydict()
    assert table["id"] == ["first", "second"]
    assert table["file"] == ["a.cif", "f.json"]
    assert table["target"] == [1.0, 0.2]
    assert table["group"][0] == "g"
    assert table["group"][1] == standard_formula(REAL[list(GOOD).index("f.json")].atomic_numbers.tolist())


def nacl(formula: str = "Na Cl", occupancy: str = "1", symbol: str = "Cl") -> str:
    """Rock salt with two sites of its primitive cell."""
    return f"""data_NaCl
_chemical_formula_sum '{formula}'
_cell_length_a 3.99
_cell_length_b 3.99
_cell_length_c 3.99
_cell_angle_alpha 60
_cell_angle_beta 60
_cell_angle_gamma 60
_symmetry_space_group_name_H-M 'P 1'
loop_
 _atom_site_label
 _atom_site_type_symbol
 _atom_site_fract_x
 _atom_site_fract_y
 _atom_site_fract_z
 _atom_site_occupancy
 Na1 Na 0 0 0 1
 Cl1 {symbol} 0.5 0.5 0.5 {occupancy}
"""


@pytest.mark.parametrize("occupancy", [".", "?", "1.00(2)"])
def test_an_occupancy_that_is_left_out_is_one(tmp_path: Path, occupancy: str) -> None:
    files = {"a.cif": nacl(occupancy=occupancy), "targets.csv": table_of([["a.cif", 1]])}
    load(as_folder(tmp_path / "data", files), tmp_path / "out")
    (crystal,) = CrystalTable.open(tmp_path / "out" / "structures.parquet").crystals()
    assert sorted(crystal.atomic_numbers) == [11, 17]


def test_a_cif_with_a_block_of_authors_in_latin_1_is_read_and_its_formula_checked(tmp_path: Path) -> None:
    authors = "data_global\n_publ_author_name 'Müller, J.'\n"
    good, bad = ((authors + nacl(formula)).encode("latin-1") for formula in ("Na Cl", "Na2 Cl"))
    table = table_of([["good.cif", 1], ["bad.cif", 1]]).encode()
    files = {"good.cif": good, "bad.cif": bad, "targets.csv": table}
    load(as_folder(tmp_path / "data", files), tmp_path / "out")
    assert CrystalTable.open(tmp_path / "out" / "structures.parquet").ids == ["good.cif"]
    assert "the sites make Cl1 Na1 (P 1), the file says Na2 Cl" in reasons(tmp_path / "out")["bad.cif"]


def test_what_a_parser_warns_of_is_logged_with_the_name_of_the_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = {"odd.cif": nacl(formula="salt"), "targets.csv": table_of([["odd.cif", 1]])}
    load(as_folder(tmp_path / "data", files), tmp_path / "out")
    assert "odd.cif: the formula 'salt' cannot be read" in caplog.text


DISORDERED = GOOD["a.cif"].replace("  1\n", "  0.5\n")
VASP4 = "no symbols\n1.0\n4 0 0\n0 4 0\n0 0 4\n1 1\ndirect\n0 0 0\n0.5 0.5 0.5\n"
INCOMPLETE = "incomplete structure: the sites make Cl1 Na1 (P 1), the file says"
BAD_FILES: dict[str, tuple[str | bytes, str]] = {
    "empty.cif": ("", "unreadable: the file holds 0 structures"),
    "text.vasp": ("no structure at all", "unreadable: a POSCAR has 8 lines or more, this file 1"),
    "binary.cif": (bytes(range(256)), "unreadable: binary.cif is no text"),
    "half.json": (GOOD["f.json"][:200], "unreadable: no JSON: "),
    "other.json": ('{"a": 1}', "unreadable: not a pymatgen structure"),
    "disordered.cif": (DISORDERED, "disordered: the site"),
    "two.cif": (
        GOOD["a.cif"] + GOOD["a.cif"].replace("data_", "data_2"),
        "unreadable: the file holds 2 structures",
    ),
    "broken_second.cif": (
        GOOD["a.cif"] + "data_second\n_cell_length_a 4.0\n_cell_length_b oops\n",
        "unreadable: the file holds 2 structures",
    ),
    "no_hydrogens.cif": (nacl(formula="Na H Cl"), f"{INCOMPLETE} Na H Cl"),
    "wrong_formula.cif": (nacl(formula="Na2 Cl"), f"{INCOMPLETE} Na2 Cl"),
    "no_occupancy.cif": (nacl(occupancy="0.0"), "incomplete structure: the site Cl1 has the occupancy 0.0"),
    "hydroxide.cif": (nacl(formula="Na", symbol="OH"), "unknown element: 'OH' names no element"),
    "water.cif": (nacl(formula="?", symbol="O-H"), "unknown element: 'O-H' names no element"),
    "nan.cif": (nacl(occupancy="nan"), "unreadable: the occupancy of Cl1: 'nan' is not a number"),
    "nan.json": (GOOD["f.json"].replace('"occu": 1', '"occu": NaN', 1), "disordered: site 0 holds"),
    "no_cell.xyz": ("1\n\nSi 0 0 0\n", 'unreadable: the second line has no Lattice="..."'),
    "short.xyz": (GOOD["d.extxyz"].rsplit("\n", 2)[0], "sites are announced"),
    "no_symbols.vasp": (VASP4, "unreadable: no symbols say what the elements are"),
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


def test_the_manifest_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    path = as_folder(tmp_path / "data", {"f.json": GOOD["f.json"], "targets.csv": table_of([["f.json", 1]])})
    assert load(path, tmp_path / "out").url == "data"
    assert str(tmp_path) not in (tmp_path / "out" / "manifest.json").read_text()


def test_duplicate_rows_fail_together(tmp_path: Path) -> None:
    rows = [["a.cif", 1], ["f.json", 2], ["a.cif", 3]]
    files = {"a.cif": GOOD["a.cif"], "f.json": GOOD["f.json"], "targets.csv": table_of(rows)}
    manifest = load(as_folder(tmp_path / "data", files), tmp_path / "out")
    assert manifest.failures == {"duplicate id": 2}
    assert pq.read_table(tmp_path / "out" / "targets.parquet")["id"].to_pylist() == ["f.json"]


def test_no_structure_in_a_folder_is_passed_over(tmp_path: Path) -> None:
    elsewhere = as_folder(tmp_path / "elsewhere", {"c.vasp": GOOD["c.vasp"]})
    files: dict[str, str | bytes] = {
        "f.json": GOOD["f.json"],
        "packed.cif.gz": gzip.compress(GOOD["a.cif"].encode()),
        "moments.mcif": GOOD["a.cif"],
        "targets.csv": table_of([["f.json", 1], ["packed.cif.gz", 2]]),
    }
    path = as_folder(tmp_path / "data", files)
    (path / "linked").symlink_to(elsewhere)
    (path / os.fsdecode(b"odd-\xff.cif")).write_text(GOOD["a.cif"])
    manifest = load(path, tmp_path / "out")
    assert manifest.counts.kept == 2
    assert reasons(tmp_path / "out") == {
        "linked/": "unreadable: a link to a folder, which is not followed: put the folder itself there",
        "moments.mcif": "missing target: the table of targets has no row for this file",
        r"odd-\udcff.cif": "missing target: the table of targets has no row for this file",
    }


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
