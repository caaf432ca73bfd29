"""Folders and archives of the user's files: odd names, damage, and what would lead out of them."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sitenet.data import containers
from sitenet.errors import UserError
from tests.own_files import (
    GOOD,
    as_folder,
    as_zip,
    load,
    reasons,
    table_of,
)


@pytest.mark.parametrize("pack", [as_folder, as_zip])
def test_hidden_files_are_ignored(tmp_path: Path, pack: Callable[[Path, dict], Path]) -> None:
    hidden = ("__MACOSX/._f.json", "__MACOSX/f.json", "sub/._f.json", ".cache/f.json")
    files = {"f.json": GOOD["f.json"], "targets.csv": table_of([["f.json", 1]]), **dict.fromkeys(hidden, "x")}
    assert load(pack(tmp_path / "data", files), tmp_path / "out").counts.rows == 1


@pytest.mark.parametrize("pack", [as_folder, as_zip])
def test_two_spellings_of_a_name_are_one_file(tmp_path: Path, pack: Callable[[Path, dict], Path]) -> None:
    files = {"sub/e.json": GOOD["f.json"], "targets.csv": table_of([["./sub//e.json", 1]])}
    load(pack(tmp_path / "data", files), tmp_path / "out")
    assert pq.read_table(tmp_path / "out" / "targets.parquet")["id"].to_pylist() == ["sub/e.json"]
    assert reasons(tmp_path / "out") == {}


def test_members_of_an_archive_may_have_odd_names(tmp_path: Path) -> None:
    files = {"./sub/e.json": GOOD["f.json"], "targets.csv": table_of([["sub/e.json", 1]])}
    assert load(as_zip(tmp_path / "data", files), tmp_path / "out").counts.kept == 1


def test_a_damaged_archive_says_so(tmp_path: Path) -> None:
    path = as_zip(tmp_path / "data", GOOD)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match=r"data\.zip' is a damaged zip archive"):
        load(path, tmp_path / "out")


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
