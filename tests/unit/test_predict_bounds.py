"""What `sitenet predict` does not read."""

import os
from pathlib import Path

import pytest

from sitenet.config.features import FeatureSettings
from sitenet.data import containers
from sitenet.predict_files import _featurized


def test_devices_pipes_and_huge_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_FILE", 1_000_000)
    os.mkfifo(tmp_path / "pipe.cif")
    (tmp_path / "huge.cif").write_bytes(b" " * 1_000_001)
    paths = [Path("/dev/zero"), tmp_path / "pipe.cif", tmp_path / "huge.cif", tmp_path / "none.cif"]
    usable, failures = _featurized({path.name: path for path in paths}, FeatureSettings())
    assert usable == []
    assert failures == {
        "zero": "unreadable: it is no regular file",
        "pipe.cif": "unreadable: it is no regular file",
        "huge.cif": "too large: huge.cif has more than 1 MB",
        "none.cif": "missing file: there is none of this name",
    }
