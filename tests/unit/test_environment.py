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


def test_peak_memory_counts_megabytes_of_this_process_and_stays_when_they_are_freed() -> None:
    code = """
from sitenet.environment import peak_memory_mb
before = peak_memory_mb()
held = b"x" * 2**28
during = peak_memory_mb()
del held
print(before, during, peak_memory_mb())
"""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, timeout=300, capture_output=True, text=True, check=True
    )
    before, during, after = map(float, run.stdout.split())
    assert 4 < before < 200
    assert during - before == pytest.approx(256, abs=2)
    assert after == pytest.approx(during, abs=2)


def test_baselines_do_not_import_torch() -> None:
    code = "import sys, workflow_scripts.baseline; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=300).returncode == 0
