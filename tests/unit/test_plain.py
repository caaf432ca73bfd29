"""Names in files do not steer the terminal."""

import logging
from pathlib import Path

import pytest

from sitenet.errors import UserError, plain
from sitenet.logs import log_to


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\rb\x9b2J", "a\\rb\\x9b2J"),
        ("gnp.\u202efic", "gnp.\\u202efic"),
        ("\udcff.cif", "\\udcff.cif"),
        ("two\nlines\tand \u03b1", "two\nlines\tand \u03b1"),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str) -> None:
    assert plain(text) == str(UserError(text)) == shown


def test_logs_show_them_written_out(tmp_path: Path) -> None:
    root, own = logging.getLogger(), logging.getLogger("sitenet")
    before = (root.handlers[:], root.level, own.level)
    try:
        log_to(tmp_path / "job.log")
        own.warning("%s: no structure", "\x1b[2J\u03b1.cif")
        logging.captureWarnings(False)
    finally:
        root.handlers[:], root.level, own.level = before
    assert "\\x1b[2J\u03b1.cif: no structure" in (tmp_path / "job.log").read_text(encoding="utf-8")
