"""Runs the workflow through profiles/slurm on a test cluster and reads what it leaves."""

import csv
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from tests.slurm.cluster import Cluster
from tests.workflow.running import ROOT

NAME = "one"
CONFIG = Path(__file__).parent / "one_training.yaml"
TABLES = ("leaderboard.csv", "trials.csv", "comparisons.csv", "failures.csv")
COSTS = {"training_seconds", "search_seconds", "peak_memory_mb", "restarts"}

# The profile as it is, but for what this cluster lacks (accounting, a real GPU, more than two CPUs) and shorter waits.
SITE = (
    "--slurm-status-command",
    "squeue",
    "--slurm-init-seconds-before-status-checks",
    "3",
    "--latency-wait",
    "10",
    "--group-components",
    "score=2",
)
NO_GPU = ("--set-resources", "train:checkpoint_seconds=1")  # and often enough to be interrupted soon


class Driver:
    """A `snakemake` in the background, through SLURM unless it is local, with all it prints in a file.

    Attributes:
        started: The drivers of the test that runs; `no_driver_is_left` ends those that it leaves.
    """

    started: ClassVar[list["Driver"]] = []

    def __init__(self, cluster: Cluster, folder: Path, *arguments: object, config: Path = CONFIG, local: bool = False):
        self.log = folder.with_name(f"{folder.name}.{time.monotonic_ns()}.log")
        where = ("--cores", "2") if local else ("--profile", ROOT / "profiles" / "slurm", *SITE)
        command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", folder]
        command += [*where, *arguments, "--configfile", config]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [str(word) for word in command], env=cluster.environment, stdout=log, stderr=subprocess.STDOUT
            )
        self.cluster = cluster
        self.started.append(self)

    def wait(self, seconds: float = 900) -> int:
        """The exit status; a driver that does not end is killed."""
        try:
            return self.process.wait(seconds)
        finally:
            self.process.kill()

    def end(self) -> None:
        """Kills a driver that a failed test has left, and its jobs."""
        if self.process.poll() is None:
            self.process.kill()
            self.cluster.cancel_all()

    def finish(self) -> None:
        """Waits for success and shows the log otherwise."""
        assert self.wait() == 0, self.log.read_text()[-8000:]


def wait_for(what: str, reached: Callable[[], bool], seconds: float = 300) -> None:
    """Waits until `reached`, asked five times a second."""
    limit = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < limit, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.2)


def run_folder(folder: Path) -> Path:
    """Folder of the one training."""
    return next((folder / "results" / "runs" / NAME).glob("*/fold0/seed0/last.pt")).parent


def wait_for_epochs(driver: Driver, folder: Path, trainings: int = 1, name: str = NAME) -> list[Path]:
    """Waits until so many trainings have a checkpoint with an epoch in it, or the driver ends; their folders."""

    def checkpoints() -> dict[Path, int]:
        histories = (folder / "results" / "runs" / name).glob("*/fold0/seed0/history.jsonl")
        begun = [history.with_name("last.pt") for history in histories if history.read_text()]
        return {last.parent: last.stat().st_mtime_ns for last in begun}

    def ended() -> bool:
        return driver.process.poll() is not None

    wait_for("an epoch", lambda: len(checkpoints()) == trainings or ended())
    first = checkpoints()
    wait_for("a checkpoint", lambda: all(checkpoints()[run] > first[run] for run in first) or ended())
    return sorted(first)


def training_process(run: Path) -> int:
    """The process that trains in this folder, which holds its lock."""
    inode = (run / ".lock").stat().st_ino
    locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return next(int(lock[4]) for lock in locks if lock[1] == "FLOCK" and lock[5].endswith(f":{inode}"))


def training_log(folder: Path) -> str:
    """Log of the one training's last attempt."""
    return next((folder / "results" / "logs" / NAME / "train").glob("*/*.log")).read_text()


def before_training(finished: Path, folder: Path) -> Path:
    """A copy of a finished run without its training and all that follows from it."""
    shutil.copytree(finished, folder, dirs_exist_ok=True)
    shutil.rmtree(run_folder(folder))
    shutil.rmtree(folder / "results" / "tables")
    return folder


def run_locally(cluster: Cluster, folder: Path, config: Path = CONFIG) -> None:
    """Whatever is left to do up to the tables, on this machine."""
    Driver(cluster, folder, "leaderboard", config=config, local=True).finish()


def tables(folder: Path, name: str = NAME) -> dict[str, list[dict[str, str]]]:
    """Every table as text, times, memory and restarts left out."""
    return {table: _rows(folder / "results" / "tables" / name / table) for table in TABLES}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return [{key: value for key, value in row.items() if key not in COSTS} for row in csv.DictReader(file)]


def restarts(folder: Path) -> int:
    """Restarts that the leaderboard counts for the one training."""
    with (folder / "results" / "tables" / NAME / "leaderboard.csv").open() as file:
        return next(int(row["restarts"]) for row in csv.DictReader(file) if row["model"] == "sitenet")
