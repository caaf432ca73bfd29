"""Starts the tracker's process; training continues without it if it fails."""

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from sitenet.errors import UserError
from sitenet.files import write_text
from sitenet.tracking.tasks import Follow, Publish, Task

logger = logging.getLogger("sitenet")

SCRATCH = "tmp"  # in W&B's folder of the benchmark
README = """# Files of Weights & Biases

Here are the runs of the benchmark `{name}` as wandb writes them: `wandb/` has one folder for each training and one for
the whole benchmark. The benchmark itself needs nothing of this, and nobody has to read it.

- `wandb login`, once, and then `sitenet sync {name}`, typed in the folder that has `results/` in it, upload them.
- Without Weights & Biases: remove this folder, and write `tracking: {{mode: disabled}}` into the configuration.
"""
STAGING = "artifacts/staging"  # copies of tables, which wandb leaves there after each attempt
PATIENCE_SECONDS = 45.0  # time for the tracker to end after its training
PUBLISH_SECONDS = 60.0  # average time per run


@contextmanager
def following(task: Follow) -> Iterator[None]:
    """Tracks the training inside the block; any problem of the tracker becomes one warning.

    The tracker is a process of its own that reads the files of the training. The training does not wait for it, and
    shares neither memory nor exceptions with it. If this process is killed, the tracker ends by itself.
    """
    if task.settings.mode == "disabled":
        yield
        return
    with _scratch(task.folder) as scratch:
        worker = _start(task, scratch)
        try:
            yield
        finally:
            if worker:
                _finish(worker, PATIENCE_SECONDS)


def publish(task: Publish) -> bool:
    """Tracks a finished benchmark; any problem becomes one warning.

    Returns:
        Whether everything was tracked.
    """
    # No training runs any more: what is left here is of jobs that were killed together with their trackers.
    shutil.rmtree(task.folder / SCRATCH, ignore_errors=True)
    remove_staging(task.folder)  # of attempts that this one replaces
    with _scratch(task.folder) as scratch:
        with contextlib.suppress(UserError):  # a full disk, of which the tracker warns
            write_text(task.folder / "README.md", README.format(name=task.benchmark))
        worker = _start(task, scratch)
        return worker is not None and _finish(worker, PUBLISH_SECONDS * (1 + len(task.results)))


@contextmanager
def _scratch(folder: Path) -> Iterator[Path | None]:
    """A folder for one tracker's temporary files, which a killed one leaves; None where there can be none."""
    try:
        (folder / SCRATCH).mkdir(parents=True, exist_ok=True)
        own = Path(mkdtemp(dir=folder / SCRATCH))
    except OSError as error:
        _warn(f"cannot start: {error}")
        yield None
        return
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)
        with contextlib.suppress(OSError):  # another tracker has its own in there
            own.parent.rmdir()


def remove_staging(folder: Path) -> None:
    """Removes copies of files that no run in W&B's folder of a benchmark waits for."""
    shutil.rmtree(folder / STAGING, ignore_errors=True)


def environment(folder: Path) -> dict[str, str]:
    """Environment variables with which wandb keeps its files in `folder` and sends no error reports."""
    return os.environ | {
        "WANDB_DATA_DIR": str(folder),
        "WANDB_CACHE_DIR": str(folder),
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_PROGRAM": "sitenet",
        "WANDB__SERVICE_WAIT": "120",  # seconds; many trackers may start at once
        "OMP_NUM_THREADS": "1",
    }


def _start(task: Follow | Publish, scratch: Path | None) -> subprocess.Popen[str] | None:
    if scratch is None:
        return None
    try:
        worker = subprocess.Popen(
            [sys.executable, "-m", "sitenet.tracking.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(task.folder) | {"TMPDIR": str(scratch.resolve())},
            start_new_session=True,  # Ctrl-C stops only the training; the tracker then notices the end of its input
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
