"""What `sitenet predict` does not read, and how it names what it reads."""

import os
from pathlib import Path

import pytest

from sitenet.data import containers
from sitenet.data.crystal import BadCrystal
from sitenet.prediction.inputs.places import open_inputs


def reasons(*names: Path | str) -> dict[str, str]:
    found = {}
    for item in open_inputs([str(name) for name in names]).items:
        with pytest.raises(BadCrystal) as reason:
            item.crystal()
        found[item.id] = str(reason.value)
    return found


def test_devices_pipes_and_huge_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_FILE", 1_000_000)
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.cif")
    Path("huge.cif").write_bytes(b" " * 1_000_001)
    assert reasons("/dev/zero", "pipe.cif", "huge.cif", "none.cif") == {
        "/dev/zero": "unreadable: it is no regular file",
        "pipe.cif": "unreadable: it is no regular file",
        "huge.cif": "too large: huge.cif has more than 1 MB",
        "none.cif": "missing file: no such file",
    }


def test_paths_that_would_steer_a_terminal_or_a_spreadsheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("=1+1.cif", "\x1b[2J.cif", os.fsdecode(b"b\xe4d.cif")):
        Path(name).touch()
    found = reasons("=1+1.cif", "\x1b[2J.cif", os.fsdecode(b"b\xe4d.cif"))
    assert list(found) == ["./=1+1.cif", "\\x1b[2J.cif", "b\\udce4d.cif"]
    assert Path("./=1+1.cif").exists()
    assert found["\\x1b[2J.cif"].startswith("unreadable: ")
