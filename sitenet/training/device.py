"""The device and threads of a process that trains or predicts."""

import os
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import torch

from sitenet.errors import UserError

DeviceName = Literal["auto", "cpu", "cuda"]


def choose_device(name: DeviceName) -> torch.device:
    """The device of that name; `auto` is CUDA where this process sees a GPU.

    Raises:
        UserError: A GPU is requested and none is seen.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError(
            f"a GPU was requested but torch {torch.__version__} sees {torch.cuda.device_count()} "
            f"(CUDA: {torch.version.cuda or 'not built in'}, "
            f"CUDA_VISIBLE_DEVICES: {os.environ.get('CUDA_VISIBLE_DEVICES', 'not set')})"
        )
    return torch.device(name)


def allotted_device(resources: Mapping[str, Any], environment: MutableMapping[str, str] = os.environ) -> DeviceName:
    """The device that a job asked for, with this process pinned to the GPUs that it got.

    A job without a GPU computes on the CPU even where it sees one, which then is another job's. SLURM sets
    CUDA_VISIBLE_DEVICES on most clusters; where it only tells the indices, they are set here, before CUDA starts.

    Args:
        resources: Resources of the Snakemake job: `gpu`, a count, or `gres`, SLURM's "gpu:a100:1" for example.
        environment: Environment of the process.
    """
    if not resources.get("gpu") and not str(resources.get("gres", "")).startswith(("gpu", "shard", "mps")):
        return "cpu"
    given = environment.get("SLURM_STEP_GPUS") or environment.get("SLURM_JOB_GPUS")
    if given:
        environment.setdefault("CUDA_VISIBLE_DEVICES", given)
    return "cuda"


def configure_torch(device: torch.device, threads: int, seed: int) -> None:
    """Sets this process's threads, seed and, on a CPU, algorithms that give the same bits every time."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(device.type == "cpu")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def device_name(device: torch.device) -> str:
    """The GPU's name, or "cpu"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
