"""What real runs leave in the terminal: a line a job, the result, a failure, an interruption, and nothing else."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflow.running import ROOT, snakemake

DUMMIES: dict[str, Any] = {
    "name": "plain",
    "dataset": {"source": "bundled", "name": "mp_dielectric_gap", "max_crystals": 60},
    "splits": {"kind": "kfold", "n_folds": 2},
    "resamples": 100,
    "tracking": {"mode": "disabled"},
    "grid": [{"model": {"kind": "dummy"}}],
}
TABLES = Path("results/tables/plain")


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(DUMMIES | changes))
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder and output of a run."""
    folder = tmp_path_factory.mktemp("plain")
    run = snakemake("--configfile", write(folder), directory=folder)
    assert run.stdout == ""
    return folder, run.stderr


def test_a_line_a_job_and_the_result_at_the_end(finished: tuple[Path, str]) -> None:
    folder, shown = finished
    assert "\x1b" not in shown
    assert "\r" not in shown
    first, plan, *lines = shown.splitlines()
    assert first.startswith("Using workflow specific profile")
    total = int(re.match(r"(\d+) jobs: ", plan)[1])  # type: ignore[index]
    words = [match[2] for match in map(re.compile(r" *(\d+) of \d+: (.+) \(").match, lines) if match]
    assert len(words) == total
    assert {"load data", "baseline dummy, fold 1", "score dummy, fold 0"} <= set(words)
    assert len(lines) <= total + 15
    assert re.fullmatch(rf"log +{folder}/\.snakemake/log/.+\.snakemake\.log", lines[-1])
    assert f"tables  {folder / TABLES}/" in lines
    assert [line.split()[:3] for line in lines if line.startswith("rank ")] == [["rank", "model", "MAE"]]
    again = snakemake("--configfile", folder / "mine.yaml", directory=folder)
    assert "Nothing to be done" in again.stderr
    assert f"tables  {folder / TABLES}/" in again.stderr  # the result is shown again


def test_fewer_folds_do_not_lose_the_larger_table(finished: tuple[Path, str], tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(finished[0], folder, symlinks=True)
    larger = (folder / TABLES / "leaderboard.csv").read_bytes()
    options = ("--configfile", write(folder), "--config", "folds=[0]")
    said = f"{TABLES} changes: folds [0] in place of [0, 1]; what was there is kept in results/former/plain-1"
    assert f"{TABLES} would change: folds [0] in place of [0, 1]" in snakemake("-n", *options, directory=folder).stdout
    assert said in snakemake(*options, directory=folder).stderr
    assert (folder / TABLES / "leaderboard.csv").read_bytes() != larger
    assert (folder / "results/former/plain-1/tables/leaderboard.csv").read_bytes() == larger


def test_a_failed_job_ends_in_its_reason_and_log(finished: tuple[Path, str], tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(finished[0], folder, symlinks=True)
    damaged, *_ = sorted(folder.glob("results/runs/plain/*/fold1/seed0/predictions.parquet"))
    (damaged.parent / "result.json").unlink()
    damaged.write_bytes(damaged.read_bytes() + b"x")
    run = snakemake("--configfile", write(folder), "--rerun-triggers", "input", directory=folder, check=False)
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    *_, reason, last = run.stderr.splitlines()
    assert re.match(r"failed: score dummy, fold 1: .+ is damaged or was changed", reason)
    assert re.search(rf"\(log: {folder}/results/logs/plain/score/\w+/fold1-seed0\.log\)$", reason)
    assert re.search(r"^\d+ of \d+ jobs are done; to go on, type again: snakemake ", last)


def test_ctrl_c_ends_in_one_line(finished: tuple[Path, str], tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(finished[0], folder, symlinks=True)
    network = {"model": {"kind": "sitenet", "blocks": 1}, "training": {"max_epochs": 100_000}}
    config = write(folder, grid=[network], folds=[0])
    command = [sys.executable, "-m", "snakemake", "-s", ROOT / "Snakefile", "-d", folder, "--cores", "1"]
    with subprocess.Popen(
        [*map(str, command), "--configfile", config], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as driver:
        limit = time.monotonic() + 300
        while not list(folder.glob("results/runs/plain/*/fold0/seed0/history.jsonl")):
            assert driver.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.2)
        os.killpg(driver.pid, signal.SIGINT)
        _, shown = driver.communicate(timeout=120)
    assert driver.returncode != 0
    assert "Traceback" not in shown
    last = shown.splitlines()[-1]
    assert re.match(r"interrupted: \d+ of \d+ jobs are done, train sitenet, fold 0 will go on; to go on, type ", last)
