"""Training, for a process of its own, which gets a SIGKILL where a test wants it."""

import logging
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sitenet import files
from sitenet.training import run
from sitenet.training.trainer import Trainer
from tests.training_case import Inputs

POINTS: dict[str, tuple[Any, str]] = {
    "step": (Trainer, "_update"),
    "validation": (Trainer, "_validate"),
    "checkpoint written, not yet renamed": (files, "_sync"),
    "checkpoint renamed, history old": (run, "write_history"),
    "all trained, nothing written": (run, "save_best"),
    "best written, no record": (run, "_result"),
}
HALF_WRITTEN = "half of the checkpoint written"


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying(function: Callable, count: int, last_words: Callable | None = None) -> Callable:
    """`function`, except that its COUNT-th call ends the process, by way of `last_words`."""
    left = count

    def counted(*arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            (last_words or die)(*arguments)
        return function(*arguments)

    return counted


def write_half_and_die(path: Path, content: bytes) -> None:
    """Stands for `Path.write_bytes`."""
    with path.open("wb") as file:
        file.write(content[: len(content) // 2])
    die()


def arm(point: str, count: int) -> None:
    """Sets the trap."""
    if point == HALF_WRITTEN:
        Path.write_bytes = dying(Path.write_bytes, count, write_half_and_die)  # type: ignore[method-assign]
    else:
        owner, name = POINTS[point]
        setattr(owner, name, dying(getattr(owner, name), count))


def train(inputs: Inputs, folder: Path, trap: tuple[str, int] | None = None) -> None:
    """Trains with a checkpoint after every step, logging to FOLDER/log; `trap` is a point and its passage."""
    if trap:
        arm(*trap)
    logging.basicConfig(level=logging.INFO, format="%(message)s", filename=folder / "log")
    run.train(replace(inputs.job(folder), checkpoint_seconds=0.0))
