"""Compiled functions where neither the package nor the user's cache can be written."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import sitenet

PRIMITIVE = """
import numpy as np
from sitenet.features.supercell import translations
print(translations(np.eye(3, dtype=np.int64)).tolist())
"""


def test_a_package_and_a_home_that_cannot_be_written_take_a_temporary_folder(tmp_path: Path) -> None:
    package = tmp_path / "sitenet"
    shutil.copytree(Path(sitenet.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__", "bundled"))
    (package / "features" / "__pycache__").touch()  # a file cannot be written to as a folder, not even by root
    (tmp_path / "tmp").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA", "XDG"))}
    environment |= {"HOME": "/dev/null", "TMPDIR": str(tmp_path / "tmp"), "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-B", "-c", PRIMITIVE]
    for _ in range(2):
        run = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert run.stdout == "[[0, 0, 0]]\n"
        (line,) = run.stderr.splitlines()
        assert "can be written: compiled functions go to" in line
    (folder,) = (tmp_path / "tmp").iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list(folder.rglob("*.nbi"))
