"""Trainings of one pack share a SLURM job and what it got, side by side, and nothing else."""

import os
import re
import signal
from pathlib import Path

import pytest

from sitenet.records import RunResult
from tests.slurm.cluster import CARD, Cluster
from tests.slurm.driver import Driver, run_locally, tables, training_process, wait_for_epochs

pytestmark = pytest.mark.slow

NAME = "two"
CONFIG = Path(__file__).parent / "two_trainings.yaml"
PACKS_OF_TWO = ("--group-components", "train=2", "score=2", "--until", "train", "--set-resources")
RESOURCES = (f"train:gres={CARD}", "train:checkpoint_seconds=1")


def log_of(run: Path) -> str:
    """What all attempts of a run logged."""
    return next((run.parents[4] / "logs" / NAME / "train" / run.parents[1].name).glob("*.log")).read_text()


def test_one_of_two_side_by_side_fails(cluster: Cluster, tmp_path: Path) -> None:
    """Both train in one job with the threads and memory of two and one card; the survivor ends undisturbed."""
    folder, earlier = tmp_path / "packed", cluster.jobs("%i")
    packed = Driver(cluster, folder, *PACKS_OF_TWO, *RESOURCES, "--retries", "0", config=CONFIG)
    victim, survivor = wait_for_epochs(packed, folder, trainings=2, name=NAME)
    assert not (victim / "run.json").exists()
    assert not (survivor / "run.json").exists()
    assert cluster.jobs("%k %C %m %b", states="running") == [f"rule_train_train 2 6000M gres:{CARD}"]
    os.kill(training_process(victim), signal.SIGKILL)
    assert packed.wait() != 0
    assert not (victim / "run.json").exists()
    assert RunResult.read(survivor / "run.json").cost.restarts == 0

    again = Driver(cluster, folder, *PACKS_OF_TWO, *RESOURCES, config=CONFIG)
    again.finish()
    trainings = [job for job in cluster.jobs("%k %C %i") if "train" in job and job.split()[-1] not in earlier]
    assert sorted(job.split()[1] for job in trainings) == ["1", "2"], "the survivor is not trained again"
    assert re.search(r"goes on from last.pt, [1-9]\d* epochs", log_of(victim))
    assert "goes on" not in log_of(survivor)
    assert RunResult.read(victim / "run.json").cost.restarts == 1

    run_locally(cluster, folder, CONFIG)
    run_locally(cluster, tmp_path / "local", CONFIG)
    assert tables(folder, NAME) == tables(tmp_path / "local", NAME)
