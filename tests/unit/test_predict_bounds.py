"""What `sitenet predict` does not read."""

import os
from pathlib import Path

import pytest

from sitenet.data import containers
from sitenet.prediction.files import _featurize, _structure_files
from sitenet.settings.features import FeatureSettings


def test_devices_pipes_and_huge_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_FILE", 1_000_000)
    os.mkfifo(tmp_path / "pipe.cif")
    (tmp_path / "huge.cif").write_bytes(b" " * 1_000_001)
    paths = [Path("/dev/zero"), tmp_path / "pipe.cif", tmp_path / "huge.cif", tmp_path / "none.cif"]
    usable, failures = _featurize({path.name: path for path in paths}, FeatureSettings())
    assert usable == []
    assert failures == {
        "zero": "unreadable: it is no regular file",
        "pipe.cif": "unreadable: it is no regular file",
        "huge.cif": "too large: huge.cif has more than 1 MB",
        "none.cif": "missing file: no such file",
    }


def test_paths_that_would_steer_a_terminal_or_a_spreadsheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("=1+1.cif", "\x1b[2J.cif", os.fsdecode(b"b\xe4d.cif")):
        Path(name).touch()
    files = _structure_files([Path("=1+1.cif"), Path("\x1b[2J.cif"), Path(os.fsdecode(b"b\xe4d.cif"))])
    _, failures = _featurize(files, FeatureSettings())
    assert list(failures) == ["./=1+1.cif", "\\x1b[2J.cif", "b\\udce4d.cif"]
    assert Path("./=1+1.cif").exists()
    assert failures["\\x1b[2J.cif"].startswith("unreadable: ")
