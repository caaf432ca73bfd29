"""Starting the tracker's process, and getting on without it."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sitenet.tracking.tasks import Follow, Publish, Task

logger = logging.getLogger("sitenet")

PATIENCE_SECONDS = 45.0  # for the tracker to end after its training
PUBLISH_SECONDS = 60.0  # a run, on average


@contextmanager
def following(task: Follow) -> Iterator[None]:
    """Tracks the training inside the block; whatever goes wrong with it becomes one warning.

    The tracker reads the files that the training writes, so that the training neither waits for it nor shares
    a process, its memory or its exceptions with it. It ends by itself where this process is killed.
    """
    worker = _start(task) if task.settings.mode != "disabled" else None
    try:
        yield
    finally:
        if worker:
            _finish(worker, PATIENCE_SECONDS)


def publish(task: Publish) -> bool:
    """Tracks a finished benchmark; what goes wrong becomes one warning.

    Returns:
        Whether all went well.
    """
    worker = _start(task)
    return worker is not None and _finish(worker, PUBLISH_SECONDS * (1 + len(task.results)))


def environment(folder: Path) -> dict[str, str]:
    """Environment in which wandb keeps its files in `folder` and sends no reports about itself."""
    return os.environ | {
        "WANDB_DATA_DIR": str(folder),
        "WANDB_CACHE_DIR": str(folder),
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_PROGRAM": "sitenet",
        "WANDB__SERVICE_WAIT": "120",  # seconds; many may start at once
        "OMP_NUM_THREADS": "1",
    }


def _start(task: Follow | Publish) -> subprocess.Popen[str] | None:
    try:
        task.folder.mkdir(parents=True, exist_ok=True)
        worker = subprocess.Popen(
            [sys.executable, "-m", "sitenet.tracking.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(task.folder),
            start_new_session=True,  # Ctrl-C is for the training; the tracker then sees its input end
            encoding="utf-8",
        )
        assert worker.stdin
        worker.stdin.write(Task(task).model_dump_json() + "\n")
        worker.stdin.flush()
    except OSError as error:
        _warn(f"cannot start: {error}")
        return None
    return worker


def _finish(worker: subprocess.Popen[str], seconds: float) -> bool:
    try:
        output, _ = worker.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
        output = f"gave up after {seconds:g} s"
    except OSError as error:
        output = str(error)
    problem = output.strip() or (f"ended with status {worker.returncode}" if worker.returncode else "")
    if problem:
        _warn(problem.splitlines()[-1])
    return not problem


def _warn(problem: str) -> None:
    logger.warning("W&B tracking: %s; results are not affected", problem)
