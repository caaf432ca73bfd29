"""Uploads runs that were tracked offline or uploaded only in part, even from another machine."""

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from sitenet.errors import UserError
from sitenet.settings.tracking import FOLDER
from sitenet.tracking.process import environment, remove_staging

AT_ONCE = 4
# Retries of a request: about 15 seconds, where wandb would try for hours.
RETRIES = {f"WANDB__{kind}_RETRY_MAX": "3" for kind in ("GRAPHQL", "FILE_STREAM", "FILE_TRANSFER")}


def sync(directory: Path, benchmarks: Sequence[str] = ()) -> None:
    """Uploads every run that is not uploaded yet, some at a time; called again, it retries those that failed.

    Args:
        directory: Working directory of the workflow.
        benchmarks: Names of benchmarks; all if empty.

    Raises:
        UserError: There is no such benchmark, W&B cannot be used, or some runs could not be uploaded.
    """
    folders = _folders(directory, benchmarks)
    logs = [(folder, log) for folder in folders for log in pending(folder)]
    if not logs:
        print("every run is uploaded")
        return
    _check_login(folders[0])
    print(f"uploading {len(logs)} runs, {AT_ONCE} at a time", flush=True)
    uploaded = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        attempts = {pool.submit(_upload, directory, folder, log): log for folder, log in logs}
        for attempt in as_completed(attempts):
            problem = attempt.result()
            uploaded += problem is None
            name = attempts[attempt].stem.removeprefix("run-")
            print(f"failed: {name}: {problem}" if problem else f"{uploaded} of {len(logs)} runs uploaded", flush=True)
    if uploaded < len(logs):
        raise UserError(
            f"{len(logs) - uploaded} of {len(logs)} runs could not be uploaded; run `sitenet sync` again to retry them"
        )
    for folder in folders:
        remove_staging(folder)


def pending(folder: Path) -> list[Path]:
    """Logs of runs that are not uploaded, or have grown since then, oldest first."""
    logs = sorted((folder / "wandb").glob("*run-*/*.wandb"))
    return [log for log in logs if not _is_uploaded(log)]


def _is_uploaded(log: Path) -> bool:
    marker = log.with_suffix(".wandb.synced")
    return marker.exists() and marker.stat().st_mtime >= log.stat().st_mtime


def _folders(directory: Path, benchmarks: Sequence[str]) -> list[Path]:
    root = directory / FOLDER
    tracked = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
    for name in benchmarks:
        if name not in tracked:
            raise UserError(f"no benchmark '{name}' is tracked in {root} (tracked: {', '.join(tracked) or 'none'})")
    return [root / name for name in benchmarks or tracked]


def _check_login(folder: Path) -> None:
    """Asks W&B once whether the key is valid, in place of a failure for each run."""
    code = "from sitenet.tracking.session import check_login; check_login()"
    run = _call([sys.executable, "-c", code], Path.cwd(), environment(folder) | RETRIES | {"WANDB_SILENT": "true"})
    if run.returncode:
        raise UserError(
            f"nothing was uploaded, W&B cannot be used: {_last_line(run)} "
            "(`wandb login` or the variable WANDB_API_KEY sets the key, WANDB_BASE_URL the server)"
        )


def _upload(directory: Path, folder: Path, log: Path) -> str | None:
    """Uploads a log with wandb's own command, which marks it as uploaded; returns the problem where it does not.

    Every log gets its own process, because wandb stops at the first log that it cannot read.
    """
    log.with_suffix(".wandb.synced").unlink(missing_ok=True)
    # Paths of the artifacts' files are relative to the workflow's directory.
    path = log.parent.relative_to(directory)
    command = [sys.executable, "-m", "wandb", "sync", "--yes", "--include-online", str(path)]
    run = _call(command, directory, environment(folder.relative_to(directory)) | RETRIES)
    return None if _is_uploaded(log) else _last_line(run)


def _call(command: Sequence[str], folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,  # wandb would ask for a key
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )


def _last_line(run: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in run.stdout.splitlines() if line.strip()]
    return lines[-1] if lines else f"wandb ended with status {run.returncode}"
