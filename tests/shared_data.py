"""Where development data too large or too private to commit may lie, and the marks of tests that need it."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"

needs_cases = pytest.mark.skipif(
    not (SHARED / "cases").is_dir(), reason="files that fail (../shared/cases) are not on this machine"
)
needs_matbench = pytest.mark.skipif(
    not (SHARED / "data").is_dir(), reason="matbench_mp_gap (../shared/data) is not on this machine"
)
