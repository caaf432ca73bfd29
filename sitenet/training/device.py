"""The device and threads of a process that trains or predicts."""

import os

import torch

from sitenet.errors import UserError
from sitenet.training.allotment import DeviceName


def choose_device(name: DeviceName) -> torch.device:
    """The device of that name; `auto` is a GPU if this process sees one.

    Raises:
        UserError: A GPU was requested, but torch sees none.
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
    """Sets torch's threads and seed and, on a CPU, deterministic algorithms."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(device.type == "cpu")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def device_name(device: torch.device) -> str:
    """The GPU's name, or "cpu"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
