"""The notebook of the documentation, executed anew."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs" / "predict.ipynb"
NUMBER = re.compile(r"[-+]?\d+\.\d+")


def outputs(notebook: nbformat.NotebookNode) -> list[str]:
    """What each cell of code shows as text."""
    cells = [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return ["".join(out.get("text") or out["data"]["text/plain"] for out in shown) for shown in cells]


def test_it_shows_what_it_shows_today(tmp_path: Path) -> None:
    committed, today = (nbformat.read(NOTEBOOK, as_version=4) for _ in range(2))
    client = NotebookClient(today, timeout=300, kernel_name="python3", coalesce_streams=True)
    client.execute(cwd=str(tmp_path))
    shown, now = outputs(committed), outputs(today)
    assert len(shown) > 4
    assert [NUMBER.sub("#", text).split() for text in now] == [NUMBER.sub("#", text).split() for text in shown]
    numbers = [[float(number) for text in texts for number in NUMBER.findall(text)] for texts in (now, shown)]
    assert numbers[0] == pytest.approx(numbers[1], abs=0.011)  # the last digit may be rounded the other way
