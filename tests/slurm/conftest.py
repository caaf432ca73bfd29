"""The cluster that all tests here share."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster
from tests.slurm.driver import Driver


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    obstacle = Cluster.obstacle()
    if obstacle:
        pytest.skip(f"no SLURM: {obstacle}")
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
    except (OSError, subprocess.CalledProcessError) as error:
        cluster.stop()
        pytest.skip(f"SLURM does not start here: {error}")
    yield cluster
    cluster.stop()


@pytest.fixture(autouse=True)
def no_driver_is_left() -> Iterator[None]:
    yield
    while Driver.started:
        Driver.started.pop().end()


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], capture_output=True, text=True)
    if mount.returncode:
        pytest.skip(f"no small file system can be mounted: {mount.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)
