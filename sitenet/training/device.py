"""The device and threads of a process that trains or predicts."""

import os
from typing import Literal

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


def configure_torch(device: torch.device, threads: int, seed: int) -> None:
    """Sets this process's threads, seed and, on a CPU, algorithms that give the same bits every time."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(device.type == "cpu")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def device_name(device: torch.device) -> str:
    """The GPU's name, or "cpu"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
