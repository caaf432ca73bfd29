"""Text is UTF-8 whatever the locale: every file and pipe of text is opened with its encoding."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.own_files import GOOD, as_folder

ROOT = Path(__file__).parents[2]
FOLDERS = ("sitenet", "workflow_scripts", "tools", "perf")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
# `open` of these opens no text.
OTHERS = {"CrystalTable", "archive", "self._zip", "os", "gzip", "settings"}


def calls_without_encoding(tree: ast.AST) -> Iterator[int]:
    """Lines that open text without an encoding."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        arguments = [ast.unparse(argument) for argument in call.args]
        of, _, name = ast.unparse(call.func).rpartition(".")
        opens = name == "open" and (of not in OTHERS or "'rt'" in arguments)
        is_binary = any("b'" in mode for mode in [*arguments[:2], keywords.get("mode", "")] if mode.startswith("'"))
        reads = name == "read_text" and not arguments
        writes = name == "write_text" and len(arguments) == 1
        logs = name == "FileHandler" or name == "fdopen" or "True" in (keywords.get("text"),)
        if "encoding" not in keywords and ((opens and not is_binary) or reads or writes or logs):
            yield call.lineno


def test_the_check_finds_what_it_looks_for() -> None:
    code = (
        "open('a')\nPath('a').open('w')\npath.read_text()\npath.write_text('')\nrun([], text=True)\nopen('a', 'rb')\n"
    )
    assert sorted(calls_without_encoding(ast.parse(code))) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_text_has_an_encoding(module: Path) -> None:
    assert list(calls_without_encoding(ast.parse(module.read_text(encoding="utf-8")))) == []


ID = "\N{GREEK SMALL LETTER ALPHA}-3\u9ad8"
FOREIGN = """
import sys, warnings
from pathlib import Path
warnings.filterwarnings("error", category=EncodingWarning, module="sitenet")
from sitenet.data.load import load_dataset
from sitenet.data.sources.files import FilesDataset
from sitenet.failures import read_failures, write_failures
dataset = FilesDataset(source="files", name="x", path=sys.argv[1], target="x", unit="x", max_failed_share=1)
load_dataset(dataset, sys.argv[2])
failures = read_failures(Path(sys.argv[2], "failures.csv"))
write_failures(Path(sys.argv[2], "all.csv"), failures)
print(failures[0].id)
"""


@pytest.mark.parametrize("encoding", ["iso-8859-1", "gbk"])
def test_an_id_in_any_script_passes_where_the_locale_cannot_write_it(tmp_path: Path, encoding: str) -> None:
    """Python says where it would fall back to the locale's encoding; locales other than C are seldom installed."""
    path = as_folder(
        tmp_path / "data",
        {"f.json": GOOD["f.json"], "targets.csv": f"id,file,target\na,f.json,1\n{ID},none.cif,2\n"},
    )
    command = [sys.executable, "-X", "warn_default_encoding", "-c", FOREIGN, str(path), str(tmp_path / "out")]
    environment = os.environ | {"PYTHONIOENCODING": f"{encoding}:backslashreplace", "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, env=environment, capture_output=True)
    assert run.returncode == 0, run.stderr.decode(errors="replace")
    assert run.stdout.strip() == ID.encode(encoding, "backslashreplace")
    assert ID in (tmp_path / "out" / "all.csv").read_text(encoding="utf-8")
