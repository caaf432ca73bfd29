"""The first page of the Snakemake report."""

import json
from pathlib import Path

import pytest
from docutils.core import publish_parts
from jinja2 import Template

from sitenet.errors import UserError
from sitenet.evaluation.report import front_page

ROW = {"rank": 1, "mae": 0.5, "mae_low": 0.4, "mae_high": 0.6, "verdict": "best", "training_seconds": 90.0}


def write_board(path: Path, model: str) -> Path:
    path.parent.mkdir(parents=True)
    board = {"format": 1, "benchmark": "gaps", "target": "band_gap", "unit": "eV", "models": [ROW | {"model": model}]}
    path.write_text(json.dumps(board))
    return path


@pytest.mark.parametrize("model", ["random_forest", "mine {{ 7 * 6 }} <script>", "trailing_"])
def test_leaderboard_is_a_table_with_names_as_they_are(tmp_path: Path, model: str) -> None:
    """As Snakemake renders it: first by Jinja, then by docutils."""
    text = front_page("An introduction.", write_board(tmp_path / "gaps" / "leaderboard.json", model))
    page = publish_parts(Template(text).render(), writer="html")["body"]
    assert "<td>0.50 [0.40, 0.60]</td>" in page
    assert "<td>best</td>" in page
    assert "42" not in page
    assert "<script>" not in page
    assert 'href="' in page
    assert "An introduction." in page
    assert "system-message" not in page


@pytest.mark.parametrize("target", ["gap_", "E |a| *b*", "`x`", "\\alpha", "带隙"])
def test_signs_of_markup_in_a_title_are_shown(tmp_path: Path, target: str) -> None:
    path = write_board(tmp_path / "gaps" / "leaderboard.json", "m")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"target": target}))
    page = publish_parts(front_page("An introduction.", path), writer="html")
    assert page["title"] == f"gaps: {target} (eV)"
    assert "system-message" not in page["body"]
    assert "problematic" not in page["html_title"]


def test_a_benchmark_that_has_not_run_is_one_line(tmp_path: Path) -> None:
    write_board(tmp_path / "gaps" / "leaderboard.json", "m")
    with pytest.raises(UserError, match=r"no leaderboard of 'other'.*--configfile.*finished here: gaps") as caught:
        front_page("", tmp_path / "other" / "leaderboard.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ['{"benchm', "[]", '{"format": 99}', "{}"])
def test_a_damaged_leaderboard_is_one_line(tmp_path: Path, text: str) -> None:
    path = write_board(tmp_path / "gaps" / "leaderboard.json", "m")
    path.write_text(text)
    with pytest.raises(UserError, match=r"leaderboard\.json (is no leaderboard|has format 99)") as caught:
        front_page("", path)
    assert "\n" not in str(caught.value)
