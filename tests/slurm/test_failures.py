"""Failures injected into a training on a real SLURM; the tables end up as those of an undisturbed run."""

import os
import re
import signal
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster
from tests.slurm.driver import (
    NO_GPU,
    Driver,
    before_training,
    restarts,
    run_folder,
    run_locally,
    tables,
    training_log,
    training_process,
    wait_for,
    wait_for_epochs,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    run_locally(cluster, folder)
    return folder


@pytest.fixture
def folder(undisturbed: Path, tmp_path: Path) -> Path:
    return before_training(undisturbed, tmp_path / "run")


def train(cluster: Cluster, folder: Path, *arguments: object) -> Driver:
    """Starts a driver and waits until its training has a checkpoint of some epochs."""
    driver = Driver(cluster, folder, "--until", "train", *(arguments or NO_GPU))
    wait_for_epochs(driver, folder)
    return driver


def running_training(cluster: Cluster) -> str:
    """SLURM's id of the job that trains."""
    return next(line.split()[0] for line in cluster.jobs("%i %k", states="running") if "train" in line)


def stop_training(folder: Path) -> int:
    """Lets the training hang, and returns its process. SLURM's own signals reach the programs above it alone."""
    process = training_process(run_folder(folder))
    os.kill(process, signal.SIGSTOP)
    return process


def assert_resumed_to_the_same_tables(cluster: Cluster, folder: Path, undisturbed: Path) -> None:
    resumed = re.search(r"goes on from last.pt, (\d+) epochs", training_log(folder))
    assert resumed
    assert int(resumed[1]) > 0
    run_locally(cluster, folder)
    assert restarts(folder) == 1
    assert tables(folder) == tables(undisturbed)


def test_job_is_cancelled(cluster: Cluster, folder: Path, undisturbed: Path) -> None:
    driver = train(cluster, folder)
    cluster.cancel(running_training(cluster))
    driver.finish()
    assert_resumed_to_the_same_tables(cluster, folder, undisturbed)


def test_job_reaches_its_time_limit(cluster: Cluster, folder: Path, undisturbed: Path) -> None:
    """The training is stopped until the limit of one minute strikes; the next attempt gets four."""
    driver = train(cluster, folder, *NO_GPU, "train:runtime=attempt**2")
    job = running_training(cluster)
    stop_training(folder)
    driver.finish()
    assert cluster.state(job) == "TIMEOUT"
    assert_resumed_to_the_same_tables(cluster, folder, undisturbed)


def test_job_exceeds_its_memory(cluster: Cluster, folder: Path, undisturbed: Path) -> None:
    """The first attempt gets too little to import torch, the second one enough."""
    earlier = cluster.jobs("%i")
    Driver(cluster, folder, *NO_GPU, "train:mem_mb=150 * attempt**5", "--until", "train").finish()
    states = [cluster.state(job) for job in cluster.jobs("%i") if job not in earlier]
    assert len(states) == 2
    assert states.count("COMPLETED") == 1
    run_locally(cluster, folder)
    assert tables(folder) == tables(undisturbed)


def test_node_fails(cluster: Cluster, folder: Path, undisturbed: Path) -> None:
    """The job hangs with its node; SLURM puts it back in the queue, and the driver waits for it."""
    driver = train(cluster, folder)
    stop_training(folder)
    cluster.stop_node()
    wait_for("the controller to miss the node", lambda: cluster.node_state().startswith("DOWN"))
    cluster.start_node()
    driver.finish()
    assert_resumed_to_the_same_tables(cluster, folder, undisturbed)


def test_driver_is_killed(cluster: Cluster, folder: Path, undisturbed: Path) -> None:
    """The next driver ends the job that is left over, so that no two write the same files."""
    driver = train(cluster, folder)
    orphan = running_training(cluster)
    stop_training(folder)  # or it might end before the next driver looks
    driver.process.send_signal(signal.SIGKILL)
    driver.wait()
    second = Driver(cluster, folder, *NO_GPU, "--until", "train")
    second.finish()
    assert cluster.state(orphan) == "CANCELLED"
    assert f"cancelling 1 SLURM jobs that an earlier snakemake left: {orphan}" in second.log.read_text()
    assert_resumed_to_the_same_tables(cluster, folder, undisturbed)


def test_disk_is_full(cluster: Cluster, tmpfs: Path, undisturbed: Path) -> None:
    folder = before_training(undisturbed, tmpfs)
    driver = train(cluster, folder, *NO_GPU, "--retries", "0")
    ballast = folder / "ballast"
    _fill(ballast)
    assert driver.wait() != 0
    assert "No space left on device" in training_log(folder)
    ballast.unlink()
    Driver(cluster, folder, *NO_GPU, "--until", "train").finish()
    assert_resumed_to_the_same_tables(cluster, folder, undisturbed)


def _fill(path: Path, left: int = 2**16) -> None:
    """Leaves too little room for a checkpoint, but enough to log that it cannot be written."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(2**16))
        except OSError:
            file.truncate(file.tell() - left)


def test_second_driver_is_refused(cluster: Cluster, folder: Path, undisturbed: Path) -> None:
    driver = train(cluster, folder)
    process = stop_training(folder)
    second = Driver(cluster, folder, *NO_GPU)
    assert second.wait() != 0
    os.kill(process, signal.SIGCONT)
    message = second.log.read_text()
    assert f"another snakemake (process {driver.process.pid} on " in message
    assert "Traceback" not in message
    driver.finish()
    run_locally(cluster, folder)
    assert restarts(folder) == 0
    assert tables(folder) == tables(undisturbed)


def test_requested_gpu_is_missing(cluster: Cluster, folder: Path) -> None:
    """The profile as it is: SLURM hands out a device that torch cannot use."""
    driver = Driver(cluster, folder, "--retries", "0", "--until", "train")
    assert driver.wait() != 0
    errors = [line for line in training_log(folder).splitlines() if "ERROR" in line]
    assert len(errors) == 1
    assert "a GPU was requested but torch" in errors[0]
    assert "CUDA_VISIBLE_DEVICES: 0" in errors[0]
