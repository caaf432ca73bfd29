"""Leaderboard, page, figures and submission of a benchmark whose target is a class."""

import gzip
import json
import re
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from jsonschema import validate

from sitenet.data.matbench_task import official_folds
from sitenet.evaluation.figures import FIGURES, FigureKind
from sitenet.evaluation.figures.roc import run_roc_figure
from sitenet.evaluation.figures.style import save_figure
from sitenet.evaluation.matbench_submission import INFO_KEYS, write_submission
from sitenet.evaluation.page.crystals import TestCrystals
from sitenet.evaluation.page.leaderboard import answers
from sitenet.evaluation.page.training import pareto_front
from sitenet.evaluation.page.write import write_page
from sitenet.evaluation.results import Results
from sitenet.evaluation.runs import Run
from sitenet.evaluation.standings import compute_standings
from sitenet.evaluation.statistics.metrics import METRICS_OF, compute_metrics
from sitenet.evaluation.tables.record import schema
from sitenet.evaluation.tables.summary import summary_table
from sitenet.evaluation.tables.write import write_tables
from sitenet.history import HistoryRow, write_history
from sitenet.tasks import CLASSIFICATION, ROC_AUC
from sitenet.tracking.benchmark import _scores
from sitenet.tracking.content import summary
from tests.unit.benchmark_runs import (
    DUMMY_MEAN,
    FOREST,
    MANIFEST,
    SITENET,
    SPLITS,
    planned,
    run_result,
    select,
)

N = 150
SKILL = {SITENET[0]: 0.2, SITENET[1]: 0.25, FOREST: 0.25, DUMMY_MEAN: 0.0}  # how much a model knows of the class
SEEDS = (0, 1)


def write_run(root: Path, trial: str, fold: int, seed: int) -> Run:
    """A scored run whose probabilities have as much of the class as its model has skill."""
    folder = root / trial / f"fold{fold}" / f"seed{seed}"
    folder.mkdir(parents=True)
    random, skill = np.random.default_rng([fold, seed]), SKILL[trial]
    target = (np.random.default_rng(fold).random(N) < 0.4).astype(float)
    prediction = skill * target + (1 - skill) * random.random(N) if skill else np.full(N, 0.4)
    frame = pd.DataFrame({"id": [f"mp-{fold}-{i}" for i in range(N)], "target": target, "prediction": prediction})
    frame.to_parquet(folder / "test_predictions.parquet", index=False)
    test = compute_metrics(target, prediction, "classification")
    before = run_result(trial, fold, seed, validation_error=1 - skill)
    result = before.model_copy(update={"test": test, "task": "classification", "target": "no gap", "unit": ""})
    write_history(folder, [HistoryRow(i, 2.0 * i, 1e-3, 0.7, 0.7 / i, 0.8 / i, None, 9.0, "log_loss") for i in (1, 2)])
    result.write(folder / "result.json")
    return Run.read(folder / "result.json")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    root = tmp_path_factory.mktemp("runs")
    runs = [write_run(root, trial, fold, seed) for trial in SKILL for fold in (0, 1) for seed in SEEDS]
    plan = planned(seeds=SEEDS)
    standings = compute_standings(runs, select(runs), plan, {}, 500, task=CLASSIFICATION)
    about = {"target": "no gap", "unit": "", "task": "classification", "positives": 9, "non_negative": False}
    return Results("metals", standings, runs, MANIFEST.model_copy(update=about), SPLITS, [], {}, {})


@pytest.fixture(scope="module")
def folder(results: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tables = tmp_path_factory.mktemp("tables")
    write_tables(results, tables, ablation=True)
    return tables


def test_the_largest_area_is_best(folder: Path, results: Results) -> None:
    table = pd.read_csv(folder / "leaderboard.csv")
    ranked = table[table["rank"].notna()]
    assert ranked["roc_auc"].is_monotonic_decreasing
    assert ranked["model"].tolist()[-1] == "dummy (mean)"
    assert ranked["verdict"].iloc[0] == "best"
    assert (ranked["difference"].dropna() <= 0).all()
    last = ranked.iloc[-1]
    assert (last["verdict"], last["roc_auc"]) == ("worse", 0.5)
    assert last["difference_low"] <= last["difference"] <= last["difference_high"] < 0
    assert last["difference"] == pytest.approx(0.5 - ranked["roc_auc"].iloc[0])
    others = ranked.iloc[1:]
    assert ((others["p_value"] > 0.05) == (others["verdict"] == "tied with the best")).all()
    comparisons = pd.read_csv(folder / "comparisons.csv")
    assert (comparisons["difference"].dropna() >= 0).all()  # the better one first


def test_scores_are_means_over_folds_of_means_over_seeds(folder: Path, results: Results) -> None:
    table = pd.read_csv(folder / "leaderboard.csv").set_index("model")
    for metric in METRICS_OF["classification"]:
        runs = [run for run in results.runs if run.result.key.trial == FOREST]
        assert table.loc["random_forest", metric.key] == pytest.approx(
            np.mean([run.metrics()[metric.key] for run in runs])
        )
    ensemble = table.loc["sitenet, ensemble of 2 seeds"]
    assert ensemble["roc_auc"] > table.loc["sitenet", "roc_auc"]  # the seeds' noise is independent


def test_no_table_speaks_of_errors_in_a_unit(folder: Path) -> None:
    texts = {path.name: path.read_text() for path in folder.glob("*.md")}
    assert {"leaderboard.md", "comparisons.md", "trials.md", "ablation.md"} <= set(texts)
    for name, text in texts.items():
        assert not re.search(r"\bMAE\b|_mae|\(eV\)|\(\)", text), name
    assert texts["leaderboard.md"].startswith("# Benchmark metals: no gap of gaps\n")
    assert "| ROC-AUC, 95 % interval " in texts["leaderboard.md"]
    assert "- Classes: 9 of class 1, 15 of class 0." in texts["leaderboard.md"]
    assert "lowest validation log loss" in texts["leaderboard.md"]
    assert "positive ones favour the model" in texts["comparisons.md"]
    assert "test Brier score" in texts["ablation.md"]
    trials = pd.read_csv(folder / "trials.csv")
    assert {"validation_log_loss", "test_roc_auc", "validation_log_loss_fold0"} < set(trials.columns)


def test_programs_and_the_terminal_read_the_leaderboard(folder: Path) -> None:
    board = json.loads((folder / "leaderboard.json").read_text())
    validate(board, json.loads(schema()))
    assert (board["task"], board["unit"], "mae" in board["models"][0]) == ("classification", "", False)
    lines = summary_table(folder / "leaderboard.json").splitlines()
    assert "ROC-AUC, 95 % interval" in lines[0]
    assert re.search(r"0\.\d+ \[0\.\d+, 0\.\d+\] +best", lines[1])
    assert any("dummy (mean)" in line and "0.500 [0.500, 0.500]" in line for line in lines)


OF_CLASSES = [kind for kind in FIGURES if kind.task != "regression"]


@pytest.mark.parametrize("kind", OF_CLASSES, ids=lambda kind: kind.name)
def test_figures_are_drawn(kind: FigureKind, results: Results, tmp_path: Path) -> None:
    paths = [tmp_path / "first.svg", tmp_path / "second.svg"]
    for path in paths:
        save_figure(kind.draw(results), [path])
    assert paths[0].read_bytes() == paths[1].read_bytes()
    text = " ".join(ET.parse(paths[0]).getroot().itertext())
    assert "MAE" not in text
    assert "eV" not in text
    nothing = Results(
        "metals",
        compute_standings([], {}, planned(), {}, task=CLASSIFICATION),
        [],
        results.manifest,
        SPLITS,
        [],
        {},
        {},
    )
    save_figure(kind.draw(nothing), [tmp_path / "empty.svg"])


def test_a_curve_goes_from_corner_to_corner(results: Results) -> None:
    (axes,) = run_roc_figure(results.runs[0]).axes
    curve = max(axes.lines, key=lambda line: np.size(line.get_xdata()))
    x, y = np.asarray(curve.get_xdata()), np.asarray(curve.get_ydata())
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(y, x) == pytest.approx(results.runs[0].metrics()["roc_auc"])


def test_the_page_has_the_charts_of_classes(results: Results, tmp_path: Path) -> None:
    ids = sorted({id_ for run in results.runs for id_ in run.predictions().index})
    facts = pd.DataFrame({"formula": "NaCl", "n_sites": 2, "crystal_system": "cubic", "file": ""}, index=ids)
    crystals = TestCrystals(facts, {fold: frozenset({"NaCl"}) for fold in (0, 1)})
    config = {"name": "metals", "dataset": {}, "trials": dict(results.planned.trials)}
    write_page(results, crystals, config, tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text("utf-8").partition('<script type="text/plain"')[0]
    keys = set(re.findall(r'data-key="([^"]+)"', text))
    assert {"roc/0", "reliability/0", "cost/training", "curves", "elements/0", "group-target/0"} <= keys
    assert not {"parity/0", "signed/0", "cumulative", "group-metals/0"} & keys
    assert not re.search(r"\bMAE\b|\(eV\)|\( ?\)|absolute error", text)
    assert "class 1" in text


def test_answers_name_the_score_without_a_unit(results: Results) -> None:
    text = answers(results)["best"]
    assert re.match(r"[a-z_, 0-9]+ has the highest test ROC-AUC: 0\.\d+ \[0\.\d+, 0\.\d+\]\.", text)
    assert re.search(r"worse beyond noise: .*, by -0\.\d+ \[-0\.\d+, -0\.\d+\]\.", text)


def test_a_model_on_the_front_has_a_larger_area_than_cheaper_ones() -> None:
    points = [(1.0, 0.7), (2.0, 0.6), (3.0, 0.9), (3.0, 0.95), (4.0, 0.95)]
    assert pareto_front(points, ROC_AUC) == [(1.0, 0.7), (3.0, 0.95)]


def test_tracking_names_the_scores(results: Results) -> None:
    found = summary(results.runs[0].result)
    assert found["validation_log_loss"] == 0.8
    assert found["test_roc_auc"] == results.runs[0].metrics()["roc_auc"]
    assert "validation_mae" not in found
    assert "test_roc_auc/random_forest" in _scores(results.standings.rows)


TASK = "matbench_mp_is_metal"


@cache
def predicted() -> dict[int, pd.DataFrame]:
    """Probabilities of every official test crystal."""
    random = np.random.default_rng(0)
    found = {}
    for number, (_, test) in enumerate(official_folds(TASK)):
        target = (random.random(len(test)) < 0.43).astype(float)
        frame = pd.DataFrame(
            {"id": test, "target": target, "prediction": 0.4 * target + 0.6 * random.random(len(test))}
        )
        found[number] = frame.sample(frac=1, random_state=number)
    return found


def test_matbench_loads_validates_and_scores_probabilities_as_we_do(tmp_path: Path) -> None:
    from matbench.bench import MatbenchBenchmark

    returned = write_submission(TASK, predicted(), {k: {} for k in range(5)}, dict.fromkeys(INFO_KEYS, ""), tmp_path)
    plain = tmp_path / "results.json"
    plain.write_bytes(gzip.decompress((tmp_path / "results.json.gz").read_bytes()))
    benchmark = MatbenchBenchmark.from_file(plain)
    assert benchmark.is_recorded
    assert benchmark.is_valid
    for number, frame in predicted().items():
        own = benchmark.tasks_map[TASK].results[f"fold_{number}"]
        assert dict(own.data) == dict(zip(frame["id"], frame["prediction"], strict=True))
        ours = compute_metrics(frame["target"].to_numpy(), frame["prediction"].to_numpy(), "classification").values
        for name in ("f1", "balanced_accuracy"):
            assert own.scores[name] == returned[number][name] == pytest.approx(ours[name], rel=1e-12)
        # The package makes classes of the probabilities before it computes its area.
        assert own.scores["rocauc"] == pytest.approx(ours["balanced_accuracy"], rel=1e-12)
        assert ours["roc_auc"] > own.scores["rocauc"]
