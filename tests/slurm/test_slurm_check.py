"""What `make slurm-check` tells about a real SLURM."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sitenet.slurm_check import problems
from tests.slurm.cluster import Cluster
from tests.workflow.running import ROOT

WITH_SQUEUE = {"slurm-status-command": "squeue"}


@pytest.fixture
def on_cluster(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, cluster.environment[name])


@pytest.mark.slow
@pytest.mark.usefixtures("on_cluster")
class TestOnCluster:
    def test_suitable_profile(self) -> None:
        assert list(problems(WITH_SQUEUE)) == []

    def test_profile_that_comes_with_the_package(self) -> None:
        """It expects what most clusters have and this one has not."""
        profile = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text())
        assert list(problems(profile)) == [
            "status: there is no accounting here; set `slurm-status-command: squeue` in the profile"
        ]

    @pytest.mark.parametrize(
        ("resources", "expected"),
        [
            ({"slurm_partition": "gpu"}, "partition: 'gpu', set for trainings, is unknown (valid: main)"),
            ({"gres": "gpu:a100:1"}, "gpu: trainings ask for a GPU 'a100', partition 'main' offers fake"),
            ({"gpu": 1, "gpu_model": "h100"}, "gpu: trainings ask for a GPU 'h100', partition 'main' offers fake"),
            ({"gres": "gpu:2"}, "partition: SLURM would refuse trainings (--gres=gpu:2): "),
            ({"gres": "gpu:1"}, "environment: a training would get a GPU, but torch "),
        ],
    )
    def test_problem_is_one_line(self, resources: dict[str, Any], expected: str) -> None:
        found = list(problems(WITH_SQUEUE | {"set-resources": {"train": resources}}))
        assert len(found) == 1
        assert found[0].startswith(expected)

    def test_pack_of_trainings_needs_the_threads_of_all(self) -> None:
        profile = WITH_SQUEUE | {"set-threads": {"train": 2}, "group-components": {"train": 2}}
        (problem,) = problems(profile)
        assert problem.startswith("partition: SLURM would refuse trainings (--cpus-per-task=4): ")

    def test_pack_of_trainings_shares_a_gpu_that_is_a_generic_resource(self) -> None:
        profile = WITH_SQUEUE | {"set-resources": {"train": {"gpu": 1}}, "group-components": {"train": 2}}
        (problem,) = problems(profile)
        assert problem == ("packing: 2 trainings a job with `gpu` each ask for 2 GPUs; to share one, set `gres: gpu:1`")


def test_machine_without_slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list(problems({})) == [
        "cluster: sbatch, squeue, sinfo, srun, scontrol not found; run this on a login node of a SLURM cluster"
    ]
