"""A command in an environment of its own, through the whole workflow: a scan, its rows, changes and failures."""

import json
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.workflow.running import ROOT, job_counts, snakemake

TABLES = "results/tables/small"


def write_config(folder: Path, name: str = "boosting") -> Path:
    model = {"kind": "external", "folder": "boosting", "command": f"{sys.executable} train.py", "name": name}
    config = {
        "name": "small",
        "dataset": {"source": "bundled", "name": "mp_dielectric_gap", "max_crystals": 60},
        "splits": {"kind": "kfold", "n_folds": 2},
        "folds": [0],
        "resamples": 200,
        "grid": [{"model": model | {"parameters": {"n_trees": [20, 60]}}}],
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("external")
    shutil.copytree(ROOT / "examples/boosting", folder / "boosting", ignore=shutil.ignore_patterns(".*", "__pycache__"))
    snakemake("--configfile", write_config(folder), directory=folder)
    return folder


def runs(finished: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in finished.glob("results/runs/small/*/fold0/seed0/result.json")]


def test_the_best_trial_by_validation_is_the_row_of_a_command(finished: Path) -> None:
    rows = pd.read_csv(finished / TABLES / "leaderboard.csv").set_index("model")
    assert rows.index.tolist() == ["external (boosting)"]
    best = min(runs(finished), key=lambda run: (run["validation_mae"], run["key"]["trial"]))
    row = rows.loc["external (boosting)"]
    assert json.loads(str(row["chosen"])) == {"0": best["key"]["trial"]}
    assert row["mae"] == pytest.approx(best["test"]["values"]["mae"])
    assert row["trained_here"]
    assert (row["n_train"], row["n_validation"]) == (best["n_train"], best["n_validation"]) == (27, 3)
    assert row["search_seconds"] == pytest.approx(sum(run["cost"]["seconds"] for run in runs(finished)))
    trials = pd.read_csv(finished / TABLES / "trials.csv").set_index("trial")
    assert sorted(trials["model.parameters.n_trees"]) == [20, 60]
    assert trials["folds_selected"].sum() == 1
    assert "external (boosting)" in (finished / TABLES / "index.html").read_text()


def test_a_run_says_what_it_ran_and_what_it_cost(finished: Path) -> None:
    for run in runs(finished):
        assert run["cost"]["seconds"] > 0
        assert run["cost"]["peak_memory_mb"] > 20
        assert run["hardware"]["device"] == "cpu"
        assert run["versions"]["isolation"] in ("namespaces", "none")
    (log, _) = sorted(finished.glob("results/logs/small/external/*/fold0-seed0.log"))
    assert "trees: validation MAE" in log.read_text()


def test_a_new_name_trains_nothing_and_a_changed_file_trains_again(finished: Path) -> None:
    new_name = snakemake("-n", "--configfile", write_config(finished, "Boosting 2"), directory=finished)
    assert set(job_counts(new_name)) <= {"leaderboard", "figures", "page", "all", "total"}
    script = finished / "boosting/train.py"
    before = script.read_text()
    try:
        script.write_text(before + "\n# changed\n")
        changed = job_counts(snakemake("-n", "--configfile", write_config(finished), directory=finished))
    finally:
        script.write_text(before)
    assert changed["external"] == 2
    assert not {"load_data", "export"} & set(changed)


def test_a_folder_that_is_gone_costs_no_results(finished: Path) -> None:
    """What the command made is there; it cannot run again."""
    (finished / "boosting").rename(finished / "elsewhere")
    try:
        plan = snakemake("-n", "--configfile", write_config(finished), directory=finished)
    finally:
        (finished / "elsewhere").rename(finished / "boosting")
    assert "external" not in job_counts(plan)


def test_a_command_that_fails_is_one_line_and_leaves_the_tables_as_they_are(finished: Path) -> None:
    script = finished / "boosting/train.py"
    before, table = script.read_text(), (finished / TABLES / "leaderboard.csv").read_bytes()
    try:
        script.write_text("raise SystemExit('no such optimiser')\n")
        run = snakemake("--configfile", write_config(finished), directory=finished, check=False)
    finally:
        script.write_text(before)
    assert run.returncode != 0
    assert "the command ended with status 1; the last line that it wrote: no such optimiser" in run.stderr
    assert "Traceback" not in run.stderr
    assert (finished / TABLES / "leaderboard.csv").read_bytes() == table


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    run = snakemake("-n", "--configfile", write_config(tmp_path), directory=tmp_path, check=False)
    assert run.returncode != 0
    assert "'model.folder' of the kind external has the value 'boosting': there is no such folder in" in run.stderr
    assert "Traceback" not in run.stderr
