"""The tutorial, typed as it stands, in an empty folder."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
FENCE = re.compile(r'^```(\w+)(?: title="([^"\n]+)")?\n(.*?)^```$', flags=re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"[-+]?\b\d[\d.,:]*(?:e-?\d+)?\b")


def commands(console: str) -> Iterator[tuple[str, list[str]]]:
    """Every command of a console block with the lines that the page shows below it."""
    for part in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
        command, *shown = part.splitlines()
        yield command, [line for line in shown if line not in ("", "...")]


def without_numbers(line: str) -> str:
    return " ".join(NUMBER.sub("#", line).split())


def typed(command: str, folder: Path) -> str:
    """What the command prints, where it succeeds."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = command.replace("~/sitenet", str(ROOT))
    run = subprocess.run(
        ["bash", "-c", f"{command} 2>&1"], cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    assert run.returncode == 0, f"{command}\n{run.stdout}"
    return run.stdout


@pytest.mark.slow
def test_every_command_works_and_prints_what_the_page_shows(tmp_path: Path) -> None:
    blocks = FENCE.findall(PAGE.read_text())
    assert [language for language, _, _ in blocks].count("console") > 5
    for language, title, text in blocks:
        if language != "console":
            (tmp_path / title).write_text(text)
            continue
        for command, shown in commands(text):
            printed = {without_numbers(line) for line in typed(command, tmp_path).splitlines()}
            missing = [line for line in shown if without_numbers(line) not in printed]
            assert not missing, f"{command}\nshown, but not printed: {missing}"
