"""Tables of targets that say something else than they seem to, and archives that are damaged or packed oddly."""

import json
import logging
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sitenet.data import targets
from sitenet.data.crystal import BadCrystal
from sitenet.data.table import CrystalTable
from sitenet.data.targets import parse_target, read_targets
from sitenet.errors import UserError
from tests.own_files import GOOD, REAL, as_folder, as_zip, load, reasons, structure, table_of
from tests.shared_data import SHARED

CASES = SHARED / "cases" / "targets"


@pytest.mark.parametrize(
    "value", ["1_5", "1,5", "1 000", "1,234.5", "0x10", "\uff11\uff15", "true", True, b"1_5", [1], "1e", "--1", "1.2.3"]
)
def test_what_is_no_number_is_no_target(value: Any) -> None:
    with pytest.raises(BadCrystal, match=r"bad target: .* is not a number"):
        parse_target(value)


@pytest.mark.parametrize(
    ("value", "number"), [(" 2e-1 ", 0.2), ("+.5", 0.5), ("-3.", -3.0), ("1E3", 1000.0), (7, 7.0), (10**20, 1e20)]
)
def test_what_is_a_number_is_read(value: Any, number: float) -> None:
    assert parse_target(value) == number


def test_a_whole_number_beyond_all_floats_is_a_bad_target() -> None:
    with pytest.raises(BadCrystal, match="bad target: '1000000"):
        parse_target(10**400)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,target\na.cif,1,00\nb.cif,2,17\n", r"line 2 has 3 fields, the header 2 \(separated by a comma\)"),
        ("file,target,id\na.cif,1,x\nb.cif,2\n", "line 3 has 2 fields, the header 3"),
        ("file;target\na.cif;1;2\n", r"line 2 has 3 fields, the header 2 \(separated by a semicolon\)"),
        ("file,target,target\na.cif,1,2\n", "has the column 'target' twice"),
        ("file,target,note,note\na.cif,1,2,3\n", "has the column 'note' twice"),
        ("file,gap\na.cif,1\n", "lacks the column 'target'; it has file, gap"),
        ("a.cif,1\nb.cif,2\n", "lacks the column 'file'; it has a.cif, 1"),
        ("", "lacks the column 'file'; it has no columns"),
        ('file,target\n"a.cif,1\n', "line 2: unexpected end of data"),
        ("file,target\nMüller.cif,1\n".encode("latin-1"), "not a CSV file in UTF-8: line 2: invalid start byte"),
    ],
)
def test_a_table_that_is_not_what_it_seems_is_refused_with_line_and_reason(text: str | bytes, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_targets(text if isinstance(text, bytes) else text.encode(), "targets.csv")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separator_encoding_and_spelling_of_the_header_are_recognised(separator: str, encoding: str) -> None:
    text = separator.join(["File ", " TARGET", "Note", ""]) + "\r\n" + separator.join(["é.cif", "1.5", "x", ""])
    assert read_targets(f"{text}\r\n\r\n".encode(encoding), "t")[0] == {
        "file": "é.cif",
        "target": "1.5",
        "Note": "x",
        "": "",
    }


def test_a_table_of_too_many_rows_is_refused_at_once() -> None:
    content = b"file,target\n" + b"a,1\n" * (targets.MAX_ROWS + 1)
    with pytest.raises(UserError, match="more than 1,000,000 rows: use a Parquet file"):
        read_targets(content, "targets.csv")


def test_targets_beyond_what_networks_compute_with_are_bad(tmp_path: Path) -> None:
    rows = [["a.cif", "1e300"], ["f.json", "-9999"]]
    load(as_folder(tmp_path / "data", {**GOOD, "targets.csv": table_of(rows)}), tmp_path / "out")
    reason = "bad target: 1e+300 is larger than 1e+15; use another unit or a logarithm"
    assert reasons(tmp_path / "out")["a.cif"] == reason


def test_what_was_read_is_logged_and_recorded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rows = [["a.cif", "3"], ["f.json", "-9999"], ["c.vasp", "1"]]
    manifest = load(as_folder(tmp_path / "data", {**GOOD, "targets.csv": table_of(rows)}), tmp_path / "out")
    line = "mine: 3 targets of 6 rows are used (hardness, GPa): smallest -9999, median 1, largest 3"
    assert manifest.describe_targets() == line
    assert line in caplog.text
    assert "targets.csv: columns file, target, separated by a comma" in caplog.text


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_a_damaged_member_is_one_unreadable_file(tmp_path: Path, compression: int) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.json", GOOD["f.json"], compression)
        archive.writestr("b.json", GOOD["f.json"], compression)
        archive.writestr("c.json", GOOD["f.json"], compression)
        archive.writestr("targets.csv", table_of([["a.json", 1], ["b.json", 2], ["c.json", 3]]))
        data, header = (archive.getinfo(name).header_offset for name in ("b.json", "c.json"))
    content = bytearray(path.read_bytes())
    content[data + 60 : data + 100] = bytes(40)
    content[header : header + 4] = b"????"
    path.write_bytes(content)
    load(path, tmp_path / "out")
    assert CrystalTable.open(tmp_path / "out" / "structures.parquet").ids == ["a.json"]
    assert reasons(tmp_path / "out")["b.json"].startswith("unreadable: b.json: ")
    assert reasons(tmp_path / "out")["c.json"].startswith("unreadable: c.json: BadZipFile: Bad magic number")


def test_a_name_with_a_nul_is_one_bad_row(tmp_path: Path) -> None:
    files = {"f.json": GOOD["f.json"], "targets.csv": "file,target\nf.json,1\na\0b.cif,2\n"}
    load(as_folder(tmp_path / "data", files), tmp_path / "out")
    (reason,) = reasons(tmp_path / "out").values()
    assert "embedded null byte" in reason


def test_an_id_with_control_characters_is_refused_and_listed_without_them(tmp_path: Path) -> None:
    rows = [["a", "f.json", 1], ["\x1b[2Jevil", "a.cif", 1], ["\u202efic.b", "c.vasp", 1], ["=1+1", "d.extxyz", 1]]
    files = {**GOOD, "targets.csv": table_of(rows, ("id", "file", "target"))}
    load(as_folder(tmp_path / "data", files), tmp_path / "out")
    assert CrystalTable.open(tmp_path / "out" / "structures.parquet").ids == ["a", "=1+1"]
    reason = "bad id: it has control characters, or is not UTF-8"
    listed = reasons(tmp_path / "out")
    assert (listed["\\x1b[2Jevil"], listed["\\u202efic.b"]) == (reason, reason)


def test_a_file_name_that_is_not_utf_8_costs_no_other_crystal(tmp_path: Path) -> None:
    path = as_folder(tmp_path / "data", {"f.json": GOOD["f.json"], "targets.csv": table_of([["f.json", 1]])})
    try:
        (path / os.fsdecode(b"b\xe4d.cif")).write_text(GOOD["a.cif"])
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    assert load(path, tmp_path / "out").counts.kept == 1
    assert reasons(tmp_path / "out").keys() == {"b\\udce4d.cif"}


@pytest.mark.parametrize("pack", [as_folder, as_zip])
def test_everything_may_lie_in_one_top_folder(tmp_path: Path, pack: Any) -> None:
    files = {"mine/f.json": GOOD["f.json"], "mine/targets.csv": table_of([["f.json", 1]])}
    assert load(pack(tmp_path / "data", files), tmp_path / "out").counts.kept == 1


def test_a_table_that_lies_deeper_is_named(tmp_path: Path) -> None:
    files = {"one/f.json": GOOD["f.json"], "two/targets.csv": table_of([["f.json", 1]])}
    with pytest.raises(UserError, match=r"needs targets\.csv at its top, .*; further down it has two/targets\.csv"):
        load(as_zip(tmp_path / "data", files), tmp_path / "out")


@pytest.mark.parametrize("written", ["sub\\f.json", "sub/f.json"])
def test_backslashes_in_an_archive_are_slashes(tmp_path: Path, written: str) -> None:
    files = {"sub\\f.json": GOOD["f.json"], "targets.csv": table_of([[written, 1]])}
    load(as_zip(tmp_path / "data", files), tmp_path / "out")
    assert CrystalTable.open(tmp_path / "out" / "structures.parquet").ids == ["sub/f.json"]


def test_two_members_of_one_name_are_unreadable(tmp_path: Path) -> None:
    files = {"sub/f.json": GOOD["f.json"], "sub\\f.json": GOOD["f.json"], "g.json": GOOD["f.json"]}
    rows = table_of([["sub/f.json", 1], ["g.json", 2]])
    load(as_zip(tmp_path / "data", {**files, "targets.csv": rows}), tmp_path / "out")
    assert reasons(tmp_path / "out") == {"sub/f.json": "unreadable: the archive holds sub/f.json more than once"}


def json_list(**second: Any) -> str:
    rows = [{"id": crystal.id, "target": 1.0, "structure": structure(crystal).as_dict()} for crystal in REAL[:3]]
    return json.dumps([rows[0], rows[1] | second, rows[2]])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, None])
def test_a_bad_target_in_a_json_list_fails_alone(tmp_path: Path, value: Any) -> None:
    (tmp_path / "data.json").write_text(json_list(target=value))
    load(tmp_path / "data.json", tmp_path / "out")
    assert reasons(tmp_path / "out").keys() == {REAL[1].id}


def test_a_json_list_may_begin_with_the_mark_of_utf_8(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text(" " + json_list(), encoding="utf-8-sig")
    assert load(tmp_path / "data.json", tmp_path / "out").counts.kept == 3


def test_a_header_may_hold_a_line_break_in_quotes() -> None:
    assert read_targets(b'"file","target","two\nlines"\na.cif,1,x\n', "targets.csv")[0]["target"] == "1"


def test_blanks_may_follow_a_json_list(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text(json_list() + " \n" * 2_000_000)
    assert load(tmp_path / "data.json", tmp_path / "out").counts.kept == 3


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_chunks_of_a_json_list_may_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr("sitenet.data.structure_tables.CHUNK", chunk)
    (tmp_path / "data.json").write_text(json_list())
    assert load(tmp_path / "data.json", tmp_path / "out").counts.kept == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-1], "after 2 crystals: it ends within the list"),
        (lambda text: text.replace("}, {" + '"id"', '} {"id"', 1), "after 1 crystals: no comma after an item"),
        (lambda text: text[:-1] + ",]", "after 3 crystals: Expecting value"),
        (lambda text: text.replace('"id"', '"id', 1), "after 0 crystals: "),
        (lambda text: "[" * 100_000, "after 0 crystals: "),
        (lambda text: text + "\n" + text, "after 3 crystals: something follows the list"),
        (lambda text: text + " " * 3_000_000 + "garbage{", "after 3 crystals: something follows the list"),
    ],
)
def test_a_damaged_json_list_says_where(tmp_path: Path, change: Any, message: str) -> None:
    (tmp_path / "data.json").write_text(change(json_list()))
    with pytest.raises(UserError, match=message):
        load(tmp_path / "data.json", tmp_path / "out")


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases (../shared/cases) are not on this machine")
@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("decimal_comma", "line 2 has 3 fields, the header 2"),
        ("header_twice", "has the column 'target' twice"),
        ("underscore", {"c1.vasp": "bad target: '1_5' is not a number"}),
        ("huge", {"c1.vasp": "bad target: 1e+300 is larger than 1e+15; use another unit or a logarithm"}),
        ("list_nan.json", {"c4": "missing target: the field is empty"}),
        ("list_bom.json", {}),
        ("bz2_damaged.zip", {"c3.vasp": "unreadable: c3.vasp: OSError: Invalid data stream"}),
        ("top_folder.zip", {}),
        ("backslashes.zip", {}),
    ],
)
def test_the_cases_of_public_reports(tmp_path: Path, name: str, outcome: str | dict[str, str]) -> None:
    path = CASES / name
    if path.is_dir():
        shutil.copytree(CASES / "structures", tmp_path / "data")
        shutil.copytree(path, tmp_path / "data", dirs_exist_ok=True)
        path = tmp_path / "data"
    if isinstance(outcome, str):
        with pytest.raises(UserError, match=outcome):
            load(path, tmp_path / "out")
    else:
        assert load(path, tmp_path / "out").counts.kept == 12 - len(outcome)
        assert reasons(tmp_path / "out") == outcome
