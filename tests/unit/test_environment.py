import subprocess
import sys
from pathlib import Path

import pytest

import sitenet
from sitenet import environment

ROOT = Path(__file__).parents[2]


def test_a_checkout_that_is_not_installed_knows_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "version", {"torch": "2.13.0", "numpy": "2.0.0"}.__getitem__)
    assert environment.package_versions()["sitenet"] == sitenet.__version__


def test_memory_of_this_process() -> None:
    before = environment.peak_memory_mb()
    held = bytearray(b"x" * 2**26)
    assert environment.peak_memory_mb() >= before > 1
    assert environment.peak_memory_mb() >= len(held) / 2**20


def test_baselines_do_not_import_torch() -> None:
    code = "import sys, workflow_scripts.baseline; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=300).returncode == 0
