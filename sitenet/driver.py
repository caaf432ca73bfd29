"""What the driving `snakemake` does first: it takes the folder and ends jobs that were left over in it."""

import fcntl
import logging
import os
import shlex
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import IO

from sitenet.errors import UserError

logger = logging.getLogger("sitenet")

LOCK = ".snakemake/sitenet.lock"
SLURM_LOGS = ".snakemake/slurm_logs"
PATIENCE_SECONDS = 120


def take_folder(folder: Path) -> IO[str]:
    """Holds `folder` for this process and cancels SLURM jobs that a killed driver left running for it.

    Unlike Snakemake's own lock, this one vanishes with its process, however that ends, so that a plain rerun
    goes on after a crash. Orphaned jobs would otherwise write files under a new job's feet.

    Args:
        folder: Working directory of the workflow.

    Returns:
        The lock, held until it is closed.

    Raises:
        UserError: Another driver holds the folder, or its jobs cannot be cancelled.
    """
    path = folder / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = open(path, "a+", encoding="utf-8")  # noqa: SIM115, held as long as the process lives
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        raise UserError(
            f"another snakemake ({lock.read().strip()}) works in {folder}: wait for it, stop it, or choose "
            "another --directory"
        ) from None
    except OSError as error:
        raise UserError(
            f"{folder} cannot be locked ({error.strerror}): ask for the mount option flock, or choose "
            "another --directory"
        ) from None
    lock.truncate(0)
    print(f"process {os.getpid()} on {socket.gethostname()}", file=lock, flush=True)
    _cancel_orphans(folder)
    return lock


def check_interpreter(python: str) -> None:
    """Refuses an interpreter whose path Snakemake's jobs cannot start: it stands in their command without quotes.

    Raises:
        UserError: The path has a blank or another character that a shell reads as something else.
    """
    if shlex.quote(python) != python:
        raise UserError(
            f"Snakemake cannot start jobs with {python}, whose path has a blank or another sign of the shell: "
            "make the environment in a folder without (for example: make VENV=/tmp/sitenet-venv)"
        )


def check_slurm() -> None:
    """Refuses to submit jobs from a machine where SLURM's commands are missing or nobody answers them.

    Raises:
        UserError: One line that says what is missing.
    """
    missing = [command for command in ("sbatch", "squeue", "sinfo", "scontrol", "scancel") if not shutil.which(command)]
    reason = f"{', '.join(missing)} not found"
    if not missing:
        ping = subprocess.run(["scontrol", "ping"], capture_output=True, text=True, encoding="utf-8", errors="replace")
        if not ping.returncode and "is UP" in ping.stdout:
            return
        reason = "its controller does not answer"
    raise UserError(f"no SLURM here: {reason}; run this on a login node, and `make slurm-check` there first")


def share_package(folder: Path) -> None:
    """Lets jobs in an environment of their own (`--sdm conda`) find the package in `folder`."""
    paths = [str(folder), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))


def _cancel_orphans(folder: Path) -> None:
    if not (folder / SLURM_LOGS).is_dir() or not shutil.which("squeue"):
        return
    orphans = _jobs_of(folder)
    if not orphans:
        return
    logger.warning("cancelling %d SLURM jobs that an earlier snakemake left: %s", len(orphans), " ".join(orphans))
    subprocess.run(["scancel", *orphans])  # which may have ended by now; what is left is asked for below
    limit = time.monotonic() + PATIENCE_SECONDS
    while remaining := _jobs_of(folder):
        if time.monotonic() > limit:
            raise UserError(f"SLURM jobs {' '.join(remaining)} do not end after scancel; run again when they have")
        time.sleep(1)


def _jobs_of(folder: Path) -> list[str]:
    """Ids of this user's pending, running and ending jobs that log below `folder`."""
    command = ["squeue", "--me", "--noheader", "--Format=ArrayJobID:20,STDOUT:4096"]
    run = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")
    if run.returncode:
        reason = run.stderr.strip().rpartition("\n")[2] or f"squeue ended with status {run.returncode}"
        raise UserError(
            f"cannot ask SLURM for jobs that may still work in {folder}: {reason}; "
            f"where none can be left, remove {folder / SLURM_LOGS}"
        )
    jobs = (line.strip().partition(" ") for line in run.stdout.splitlines())  # an interactive job has no log
    return sorted({job for job, _, log in jobs if log.strip().startswith(f"{folder.resolve() / SLURM_LOGS}/")})
