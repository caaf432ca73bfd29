"""A small search through the real Snakemake: killed, resumed, and the same as one that was not disturbed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from sitenet.records import RunResult
from sitenet.search.stage import Stage
from tests.workflow.running import ROOT, job_counts, snakemake

NETWORK = {
    "kind": "sitenet",
    "blocks": 1,
    "attention_hidden": {"choice": [[16], [32]]},
    "head_hidden": [[16]],
}
CONFIG = {
    "name": "small",
    "dataset": {"source": "bundled", "name": "mp_dielectric_gap", "max_crystals": 60},
    "splits": {"kind": "kfold", "n_folds": 2},
    "folds": [0],
    "shards": 1,
    "resamples": 1000,
    "search": {"trials": 4, "sampler": "tpe", "batch": 2, "halving": 2, "min_epochs": 2},
    "grid": [
        {
            "model": NETWORK,
            "features": {"max_sites": 12},
            "training": {"learning_rate": {"log_uniform": [1e-3, 3e-2]}, "schedule": "one_cycle", "max_epochs": 4},
        },
        {"model": {"kind": "dummy"}},
    ],
}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    path.write_text(yaml.safe_dump(CONFIG))
    return path


@pytest.fixture(scope="module")
def killed(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search whose driver and jobs were killed when the first rung was reached by some trials."""
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-m", "snakemake", "-s", ROOT / "Snakefile", "-d", folder, "--cores", "2"]
    environment = {"WANDB_MODE": "disabled"} | os.environ
    victim = subprocess.Popen(
        [*map(str, [*command, "--configfile", config])],
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while victim.poll() is None and not list(folder.glob("results/runs/small/*/fold0/seed0/epochs2.json")):
        time.sleep(0.05)
    os.killpg(victim.pid, signal.SIGKILL)
    victim.wait()
    assert not list(folder.glob("results/tables/small/*"))
    snakemake("--configfile", config, directory=folder)
    return folder


def stages(folder: Path) -> list[Stage]:
    return [Stage.read(path) for path in sorted(folder.glob("results/search/small/*/fold0/stage*.json"))]


def test_a_killed_search_goes_on_to_its_end(killed: Path, config: Path) -> None:
    drawn = stages(killed)
    assert [(len(stage.trials), stage.epochs, stage.is_last) for stage in drawn] == [
        (2, 2, False),
        (2, 2, False),
        (2, 4, False),
        (1, None, True),
    ]
    (best,) = drawn[-1].trials
    runs = killed / "results/runs/small"
    assert [path.parts[-4] for path in runs.glob("*/fold0/seed0/best.pt")] == [best]
    leaderboard = pd.read_csv(killed / "results/tables/small/leaderboard.csv").set_index("model")
    assert leaderboard.loc["sitenet", "trial"] == f"best of 4 by validation: {best} in 1"
    trials = pd.read_csv(killed / "results/tables/small/trials.csv").set_index("trial")
    networks = trials[trials["kind"] == "sitenet"]
    assert len(networks) == 4
    assert networks["validation_mae"].idxmin() == best
    assert networks["test_mae"].notna().sum() == 1
    assert sorted(networks["epochs"]) == [2, 2, 4, 4]
    assert job_counts(snakemake("-n", "--configfile", config, directory=killed)) == {}


@pytest.mark.slow
def test_its_trials_are_those_of_an_undisturbed_search(killed: Path, config: Path, tmp_path: Path) -> None:
    snakemake("--configfile", config, directory=tmp_path)
    assert stages(tmp_path) == stages(killed)
    for path in sorted(tmp_path.glob("results/runs/small/*/fold0/seed0/epochs*.json")):
        same = killed / path.relative_to(tmp_path)
        assert RunResult.read(path).validation_error == RunResult.read(same).validation_error
    one, other = (pd.read_csv(folder / "results/tables/small/leaderboard.csv") for folder in (tmp_path, killed))
    assert one["mae"].tolist() == other["mae"].tolist()


def test_tables_and_figures_of_the_search(killed: Path) -> None:
    tables, figures = killed / "results/tables/small", killed / "results/figures/small"
    progress = pd.read_csv(tables / "search_progress.csv")
    assert progress["epochs"].tolist() == [2, 2, 2, 2, 4, 4]
    assert (progress["best_so_far"] == progress["validation_mae"].cummin()).all()
    assert progress["total_seconds"].is_monotonic_increasing
    assert "4 to epoch 2, 2 to epoch 4" in (tables / "search.md").read_text()
    assert pd.read_csv(tables / "search_importance.csv").empty  # too few trials to say anything
    assert {f"search_{name}.{suffix}" for name in ("progress", "importance") for suffix in ("svg", "png")} <= {
        path.name for path in figures.iterdir()
    }


def test_tables_so_far_ask_for_no_further_trials(killed: Path, config: Path, tmp_path: Path) -> None:
    run = snakemake("-n", "tables_so_far", "--configfile", config, directory=tmp_path)
    assert not {"search_stage", "train", "train_part"} & job_counts(run).keys()
    snakemake("tables_so_far", "--configfile", config, directory=killed)
    assert (killed / "results/tables/small/so_far/search.md").exists()


def test_a_damaged_record_of_a_stage_is_one_line(killed: Path, config: Path, tmp_path: Path) -> None:
    (record,) = killed.glob("results/search/small/*/fold0/stage1.json")
    shutil.move(record, tmp_path / "kept")
    record.write_bytes((tmp_path / "kept").read_bytes()[:100])
    run = snakemake("-n", "--configfile", config, directory=killed, check=False)
    shutil.move(tmp_path / "kept", record)
    assert run.returncode != 0
    said = f"{record.relative_to(killed)} is damaged: "
    assert [line for line in (run.stdout + run.stderr).splitlines() if line.startswith(said)]
    assert "Traceback" not in run.stdout + run.stderr


def test_more_trials_train_only_new_ones(killed: Path, tmp_path: Path) -> None:
    """The last test of this module: the search of the others is then another one."""
    more = tmp_path / "more.yaml"
    more.write_text(yaml.safe_dump(CONFIG | {"search": CONFIG["search"] | {"trials": 6}}))  # type: ignore[operator]
    before = set(killed.glob("results/runs/small/*/fold0/seed0/epochs2.json"))
    times = {path: path.stat().st_mtime_ns for path in before}
    snakemake("--configfile", more, directory=killed)
    after = set(killed.glob("results/runs/small/*/fold0/seed0/epochs2.json"))
    assert before < after
    assert len(after) == 6
    assert {path: path.stat().st_mtime_ns for path in before} == times
    leaderboard = pd.read_csv(killed / "results/tables/small/leaderboard.csv").set_index("model")
    assert str(leaderboard.loc["sitenet", "trial"]).startswith("best of 6 by validation")
