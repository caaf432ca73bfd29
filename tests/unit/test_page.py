"""What the result page computes; tests/e2e/test_page.py looks at it in a browser."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sitenet.evaluation.other import OtherBenchmark
from sitenet.evaluation.page.charts import Chart
from sitenet.evaluation.page.crystals import TestCrystals
from sitenet.evaluation.page.glossary import glossary
from sitenet.evaluation.page.groups import element_chart, element_errors, group_errors, worst_group
from sitenet.evaluation.page.leaderboard import answers, heads
from sitenet.evaluation.page.parity import MAX_POINTS, parity_chart
from sitenet.evaluation.page.shift import shift_content
from sitenet.evaluation.page.training import pareto_front, setting_charts
from sitenet.evaluation.page.write import write_page
from sitenet.evaluation.results import Results
from sitenet.evaluation.statistics.ranges import log_ticks, parity_range, shown_range
from sitenet.evaluation.tables.columns import LEADERBOARD_OF
from sitenet.tasks import MAE, TASKS
from tests.unit.benchmark_runs import FOREST, MANIFEST, SITENET, SPLITS, planned, results_of, write_benchmark, write_run

FORMULAS = ["K2S", "Fe2O3", "NaCl", "Si"]


def errors_of(n: int = 40, unit: float = 1.0) -> pd.DataFrame:
    """Errors that grow with the target; every fourth target is 0."""
    level = np.arange(n) % 4
    return pd.DataFrame(
        {
            "id": [f"mp-{i}" for i in range(n)],
            "target": unit * level,
            "prediction": unit * (level + 0.1 * (1 + level)),
            "error": 0.1 * unit * (1 + level),
            "formula": [FORMULAS[i % 4] for i in range(n)],
            "n_sites": [2 + i for i in range(n)],
            "crystal_system": "cubic",
            "file": "",
            "seen": [i % 2 == 0 for i in range(n)],
            "fold": 0,
        }
    )


def test_targets_that_hardly_differ_are_told_apart() -> None:
    """Of three digits their thirds would have one name."""
    errors = errors_of().assign(target=[300 + 0.1 * (i % 6) for i in range(40)])
    groups = group_errors(errors, MANIFEST.model_copy(update={"non_negative": False}))["target"]
    assert groups.index.tolist() == ["to 300.1", "to 300.3", "above 300.3"]


def crystals_of(results: Results) -> TestCrystals:
    ids = sorted({id_ for run in results.runs for id_ in run.predictions().index})
    facts = pd.DataFrame({"formula": "NaCl", "n_sites": 2, "crystal_system": "cubic", "file": ""}, index=ids)
    return TestCrystals(facts, {fold: frozenset({"NaCl"}) for fold in range(3)})


def test_formulas_of_crystals_that_teach_other_targets_alone_are_not_in_training(tmp_path: Path) -> None:
    facts = pd.DataFrame({"id": ["a", "b", "c"], "formula": ["NaCl", "KBr", "Si"]})
    facts.to_parquet(tmp_path / "facts.parquet")
    facts[["id"]].to_parquet(tmp_path / "targets.parquet")
    part = ["train", "beside", "validation"]
    pd.DataFrame({"id": ["a", "b", "c"], "part": part}).to_parquet(tmp_path / "train.parquet")
    crystals = TestCrystals.read(
        tmp_path / "facts.parquet", tmp_path / "targets.parquet", {0: tmp_path / "train.parquet"}
    )
    assert crystals.training_formulas == {0: {"NaCl", "Si"}}


def config_of(results: Results) -> dict[str, Any]:
    return {"name": results.benchmark, "dataset": {"source": "bundled"}, "trials": dict(results.planned.trials)}


@pytest.mark.parametrize("low", [1e-4, 0.03, 0.7, 0.95, 3.0])
@pytest.mark.parametrize("ratio", [1.001, 1.1, 1.7, 4, 30, 1e6])
def test_logarithmic_axes_have_three_numbers_or_more(low: float, ratio: float) -> None:
    ticks = log_ticks(low, low * ratio)
    assert 3 <= len(ticks) <= 30
    assert all(low <= tick <= low * ratio for tick in ticks)
    assert ticks == sorted(set(ticks))


def test_outliers_do_not_stretch_an_axis() -> None:
    values = np.random.default_rng(0).normal(size=500)
    low, high = shown_range(np.append(values, [1e4, -1e4, 1e5]))
    assert low < values.min()
    assert values.max() < high < 10
    assert parity_range(values, np.append(values[:-1], 1e5))[1] < 10
    assert shown_range([]) == (0, 1)
    low, high = shown_range(0.1 + np.random.default_rng(0).normal(0, 1e-17, 9))
    assert len(np.histogram([], bins=60, range=(low, high))[1]) == 61  # rounding is no range
    assert shown_range([2.0, 2.0])[0] < 2 < shown_range([2.0, 2.0])[1]


def test_pareto_front_has_what_nothing_beats() -> None:
    points = [(1.0, 5.0), (2.0, 3.0), (2.0, 4.0), (3.0, 3.0), (9.0, 1.0)]
    assert pareto_front(points) == [(1.0, 5.0), (2.0, 3.0), (9.0, 1.0)]


def test_groups_are_means_of_their_crystals() -> None:
    errors = errors_of()
    groups = group_errors(errors, MANIFEST)
    assert list(groups) == ["target", "metals", "sites", "system", "seen"]
    by_metal = groups["metals"]
    assert by_metal.loc["metals", "error"] == pytest.approx(0.1)
    assert by_metal.loc["insulators", "error"] == pytest.approx(0.3)
    assert groups["target"].index.tolist()[0] == "0"
    assert groups["target"]["n"].sum() == groups["sites"]["n"].sum() == len(errors)
    own = errors.loc[errors["seen"], "error"]
    assert groups["seen"].loc["formula in training", "margin"] == pytest.approx(
        2.0930 * own.std() / np.sqrt(20), rel=1e-4
    )
    worst = worst_group(groups)
    assert worst is not None
    assert worst[:2] == ("metals", "insulators")


def test_other_targets_have_no_metals() -> None:
    manifest = MANIFEST.model_copy(update={"target": "e_form", "unit": "eV/atom", "non_negative": False})
    groups = group_errors(errors_of(), manifest)
    assert "metals" not in groups
    assert "0" not in groups["target"].index


def test_elements_are_those_of_the_formulas() -> None:
    table = element_errors(errors_of())
    assert table["n"].to_dict() == dict.fromkeys(["K", "S", "Fe", "O", "Na", "Cl", "Si"], 10)
    assert table.loc["S", "error"] == pytest.approx(0.1)
    chart = element_chart(errors_of(), MAE, "eV")
    shown = dict(zip(np.ravel(chart.data[0]["text"]), np.ravel(chart.data[0]["z"]), strict=True))
    assert shown["Si"] == pytest.approx(0.4)
    assert shown["H"] is None
    assert shown["La"] is None


def test_charts_have_the_worst_crystals_and_a_limited_number_of_points() -> None:
    errors = errors_of(20_000, unit=1000.0)
    errors.loc[7, ["prediction", "error"]] = [1e6, 997e3]
    chart = parity_chart(errors, "modulus", "GPa", parity_range(errors["target"], errors["prediction"]))
    texts = [text for trace in chart.data for text in trace.get("text", [])]
    assert len(texts) <= MAX_POINTS + 100
    assert any("mp-7<" in text and "prediction 1e+06" in text for text in texts)
    density = np.array(chart.data[0]["z"], dtype=float)
    assert np.nansum(10**density) == pytest.approx(len(errors) - 1, rel=0.05)  # logarithms of two decimals


def test_numbers_in_a_chart_are_json_and_cannot_end_the_script() -> None:
    text = Chart([{"text": "</script>"}], {}).to_json()
    assert "<" not in text
    assert json.loads(text)["data"][0]["text"] == "</script>"


def test_columns_that_are_shown_at_once_exist(tmp_path: Path) -> None:
    shown = heads(results_of(write_benchmark(tmp_path)))
    assert (sum(head.first for head in shown), sum(head.brief for head in shown)) == (3, 6)
    assert len(shown) == sum(bool(column.label) for column in LEADERBOARD_OF["regression"])


def test_words_are_explained_where_the_documentation_explains_them() -> None:
    text = (Path(__file__).parents[2] / "docs" / "glossary.md").read_text("utf-8").lower()
    assert [word for task in TASKS for word in glossary(task) if word.lower() not in text] == []


def test_page_of_a_benchmark(tmp_path: Path) -> None:
    results = results_of(write_benchmark(tmp_path / "runs"))
    write_page(results, crystals_of(results), config_of(results), tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text("utf-8")
    assert len(text) < 10e6
    keys = re.findall(r'data-key="([^"]+)"', text)
    assert {"cost/training", "cost/search", "curves", "cumulative", "parity/0", "elements/0"} <= set(keys)
    assert set(setting_charts(results)) == {"sitenet: blocks", "sitenet: learning_rate"}
    answer = answers(results)["best"]
    assert answer.startswith(f"{results.standings.rows[0].model} has the lowest test MAE")
    write_page(results, crystals_of(results), config_of(results), tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text("utf-8") == text


@pytest.fixture
def compared(tmp_path: Path) -> Results:
    """Two held-out elements, against random folds in which each error is half of that here."""
    results = results_of(write_benchmark(tmp_path / "runs", n_crystals=60))
    errors = {row.model: pd.concat([row.fold_errors(k) for k in row.runs]) / 2 for row in results.standings.rows[:2]}
    other = OtherBenchmark("random", "kfold", frozenset(results.planned.trials), errors, pd.Series(dtype=float))
    return replace(results, splits=SPLITS.model_copy(update={"kind": "element", "held_out": ("O", "S")}), other=other)


def test_errors_here_and_in_another_benchmark(compared: Results, tmp_path: Path) -> None:
    section, charts = shift_content(compared, 30)
    assert section is not None
    best, second = compared.standings.rows[:2]
    mae = compared.standings.score(0).value
    _, there, here = charts["shift"].data
    assert (here["x"][0], there["x"][0]) == pytest.approx((mae, mae / 2), rel=1e-4)
    assert [(row[0], row[-1]) for row in section["rows"]] == [(best.model, "120"), (second.model, "120")]
    assert [(row[0], row[-1]) for row in section["folds"][0]] == [("O", "60"), ("S", "60")]
    assert charts["shift-folds/1"].data[2]["x"] == pytest.approx(
        [second.fold_errors(k).mean() for k in (0, 1)], rel=1e-4
    )
    assert f"{best.model} has a test MAE of {mae:.3f} eV (elements held out)" in section["answer"]
    assert section["answer"].endswith("2 of 2 models lose more than noise.")
    write_page(compared, crystals_of(compared), config_of(compared), tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text("utf-8")
    assert 'data-key="shift-folds/1"' in text
    assert "<dt>held out</dt>" in text


def test_page_has_nothing_of_another_benchmark_where_there_is_none(compared: Results, tmp_path: Path) -> None:
    assert shift_content(replace(compared, other=None), 30) == (None, {})
    write_page(replace(compared, other=None), crystals_of(compared), config_of(compared), tmp_path / "index.html")
    assert "shift" not in re.sub(r"<script.*?</script>", "", (tmp_path / "index.html").read_text("utf-8"), flags=re.S)


def test_folds_without_a_name_are_not_told_apart(compared: Results) -> None:
    section, charts = shift_content(replace(compared, splits=SPLITS), 30)
    assert section is not None
    assert section["folds"] == {}
    assert list(charts) == ["shift"]
    assert section["names"] == ("gaps", "random")


def test_nothing_in_common_is_one_sentence(compared: Results) -> None:
    assert compared.other is not None
    section, charts = shift_content(replace(compared, other=replace(compared.other, errors={})), 30)
    assert section is not None
    assert (section["answer"], section["rows"], charts) == (
        "No model was tested on the same crystals in both benchmarks.",
        [],
        {},
    )


def test_the_page_names_files_and_not_the_folders_they_lie_in(tmp_path: Path) -> None:
    nothing = results_of([])
    models = [{"model": {"kind": "external", "folder": "/home/me/secret/boosting", "command": "python train.py"}}]
    config = config_of(nothing) | {"splits": {"kind": "ids", "path": "/home/me/secret/splits.json"}, "grid": models}
    write_page(nothing, crystals_of(nothing), config, tmp_path / "index.html")
    page = (tmp_path / "index.html").read_text("utf-8")
    assert "secret" not in page
    assert all(shown in page for shown in ("path: splits.json", "folder: boosting", "command: python train.py"))


def test_page_while_nothing_is_scored_or_runs_are_missing(tmp_path: Path) -> None:
    nothing = results_of([])
    write_page(nothing, crystals_of(nothing), config_of(nothing), tmp_path / "index.html")
    assert "No model has a test score yet." in (tmp_path / "index.html").read_text("utf-8")
    runs = [
        write_run(tmp_path, SITENET[0], 0, [1.0, 2.0]),
        write_run(tmp_path, FOREST, 1, [0, 3], targets=[np.nan, 2]),
    ]
    some = results_of(runs, planned())
    write_page(some, crystals_of(some), config_of(some), tmp_path / "index.html")
    assert "parity/0" in (tmp_path / "index.html").read_text("utf-8")
