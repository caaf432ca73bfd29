"""A job computes where the scheduler put it."""

import pytest

from sitenet.training.allotment import allotted_device


@pytest.mark.parametrize("resources", [{}, {"gpu": 0}, {"gres": ""}, {"gres": "license:1"}])
def test_job_without_a_gpu_computes_on_the_cpu(resources: dict[str, object]) -> None:
    environment = {"SLURM_JOB_GPUS": "3"}
    assert allotted_device(resources, environment) == "cpu"
    assert environment == {"SLURM_JOB_GPUS": "3"}


@pytest.mark.parametrize("resources", [{"gpu": 1}, {"gres": "gpu:1"}, {"gres": "gpu:a100:2"}, {"gres": "shard:1"}])
def test_job_with_a_gpu_computes_on_it(resources: dict[str, object]) -> None:
    assert allotted_device(resources, {}) == "cuda"


def test_device_is_the_one_of_the_job_step() -> None:
    environment = {"SLURM_JOB_GPUS": "2,3", "SLURM_STEP_GPUS": "3"}
    allotted_device({"gpu": 1}, environment)
    assert environment["CUDA_VISIBLE_DEVICES"] == "3"


def test_choice_of_the_scheduler_stays() -> None:
    """With cgroups SLURM renumbers devices, and its variable is the one to trust."""
    environment = {"SLURM_JOB_GPUS": "3", "CUDA_VISIBLE_DEVICES": "0"}
    allotted_device({"gpu": 1}, environment)
    assert environment["CUDA_VISIBLE_DEVICES"] == "0"
