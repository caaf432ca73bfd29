"""Numbers for people, `leaderboard.json` and the summary at the end of a run."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from sitenet.errors import UserError
from sitenet.evaluation.tables.record import schema
from sitenet.evaluation.tables.rounding import duration, measured
from sitenet.evaluation.tables.summary import summary_table
from sitenet.evaluation.tables.write import write_tables
from tests.unit.benchmark_runs import DUMMY_MEAN, FOREST, planned, results_of, write_benchmark, write_run
from tools.table_columns import SCHEMA


@pytest.mark.parametrize(
    ("estimate", "shown"),
    [
        ((0.50321, 0.47191, 0.53342), "0.503 [0.472, 0.533]"),
        ((0.184561, 0.182071, 0.187151), "0.1846 [0.1821, 0.1872]"),
        ((0.1, 0.0004, 0.1996), "0.100 [0.000, 0.200]"),  # half of it is 0.0996: the digits are of the unrounded width
        ((12.34, 2.34, 22.34), "12 [2, 22]"),
        ((12345.6, 11000.0, 13691.2), "12,300 [11,000, 13,700]"),
        ((2.0, 2.0, 2.0), "2.00 [2.00, 2.00]"),
        ((0.50321, None, None), "0.503"),
        ((0.50321, float("nan"), float("nan")), "0.503"),
        ((8.2e-11, 7.2e-11, 9.5e-11), "8.2e-11 [7.2e-11, 9.5e-11]"),
        ((1.234e-9, None, None), "1.23e-09"),
        ((1e-9, -3e-10, 2.3e-9), "1.0e-09 [-3e-10, 2.3e-09]"),
        ((0.0, None, None), "0.00"),
        ((None, None, None), "-"),
        ((float("nan"), None, None), "-"),
    ],
)
def test_errors_are_rounded_by_their_interval(
    estimate: tuple[float | None, float | None, float | None], shown: str
) -> None:
    assert measured(*estimate) == shown


def test_a_difference_has_its_sign_and_no_negative_zero() -> None:
    assert measured(0.0049, -0.1, 0.11, sign="+") == "+0.00 [-0.10, +0.11]"
    assert measured(-0.0001, -0.3, 0.3) == "0.00 [-0.30, 0.30]"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0 s"),
        (37.4, "37 s"),
        (59.6, "1.0 min"),
        (207.0, "3.5 min"),
        (3599.0, "1.0 h"),
        (86399.0, "1.0 d"),
        (1e7, "115.7 d"),
        (None, "-"),
    ],
)
def test_times_have_the_unit_that_suits_them(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


def test_the_schema_is_up_to_date() -> None:
    assert SCHEMA.read_text("utf-8") == schema(), "run `python -m tools.table_columns`"
    Draft202012Validator.check_schema(json.loads(schema()))


@pytest.fixture
def leaderboard(tmp_path: Path) -> Path:
    """Of a benchmark in which one model lacks a fold and one has no run."""
    runs = [run for run in write_benchmark(tmp_path, n_crystals=60) if run.result.key.trial != DUMMY_MEAN]
    runs = [run for run in runs if run.folder.parts[-3:-1] != (FOREST, "fold1")]
    write_tables(results_of(runs), tmp_path, ablation=False)
    return tmp_path / "leaderboard.json"


def test_the_file_fits_its_schema_and_has_the_numbers_of_the_csv(leaderboard: Path) -> None:
    board = json.loads(leaderboard.read_text())
    assert list(Draft202012Validator(json.loads(schema())).iter_errors(board)) == []
    assert (board["format"], board["benchmark"], board["unit"]) == (1, "gaps", "eV")
    rows = {row["model"]: row for row in board["models"]}
    assert [row["rank"] for row in rows.values()] == [1, 2, None, None]
    assert rows["sitenet"]["chosen"] == {"0": rows["sitenet"]["trial"].split()[-3], "1": "63f73f00"}
    assert rows["dummy (mean)"]["mae"] is None


def test_the_summary_has_a_line_for_each_model(leaderboard: Path) -> None:
    lines = summary_table(leaderboard).splitlines()
    columns = [re.split(r"  +", line.strip()) for line in lines]
    assert columns[0] == ["rank", "model", "MAE (eV), 95 % interval", "verdict", "training time"]
    assert len({line.index(own[2]) for line, own in zip(lines[:4], columns, strict=False)}) == 1
    assert lines[1].split()[:2] == ["1", "sitenet"]
    assert [line.split()[-2:] for line in lines[1:]] == [["20", "s"], ["20", "s"], ["10", "s"], ["-", "-"]]
    assert " best " in lines[1]
    assert " worse " in lines[2]
    assert lines[3].split()[0] == "-"
    assert not any(line.endswith(" ") for line in lines)


def test_no_run_at_all_has_a_summary(tmp_path: Path) -> None:
    write_tables(results_of([]), tmp_path, ablation=False)
    assert len(summary_table(tmp_path / "leaderboard.json").splitlines()) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read .*leaderboard.json: No such file"),
        ("{", "is no leaderboard: JSONDecodeError"),
        ("[]", "is no leaderboard: TypeError"),
        ('{"format": 1, "unit": "eV", "models": [{}]}', "is no leaderboard: KeyError 'rank'"),
        ('{"format": 2}', "has format 2, this version reads format 1"),
    ],
)
def test_a_file_that_is_no_leaderboard_gets_one_line(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "leaderboard.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=message) as error:
        summary_table(path)
    assert "\n" not in str(error.value)


def test_the_summary_imports_nothing_heavy() -> None:
    """It is printed by the process that plans, at the end of every run."""
    code = "import sys, sitenet.evaluation.tables.summary; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"torch", "pymatgen", "pandas", "numpy", "scipy", "pydantic"} & set(loaded) == set()


def test_seeds_are_summed_in_the_training_time(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, FOREST, 0, [1.0] * 60, seed) for seed in (0, 1)]
    write_tables(results_of(runs, planned((0,), (0, 1))), tmp_path, ablation=False)
    assert summary_table(tmp_path / "leaderboard.json").splitlines()[1].endswith("20 s")
