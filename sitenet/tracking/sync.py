"""Uploads runs that were tracked offline or uploaded only in part, even from another machine."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sitenet.errors import UserError
from sitenet.settings.tracking import FOLDER
from sitenet.tracking.process import environment

# Retries of a request: about 15 seconds, where wandb would try for hours.
RETRIES = {f"WANDB__{kind}_RETRY_MAX": "3" for kind in ("GRAPHQL", "FILE_STREAM", "FILE_TRANSFER")}


def sync(directory: Path, benchmarks: Sequence[str] = ()) -> None:
    """Uploads every run that is not uploaded yet; called again, it retries those that failed.

    Args:
        directory: Working directory of the workflow.
        benchmarks: Names of benchmarks; all if empty.

    Raises:
        UserError: There is no such benchmark, or some runs could not be uploaded.
    """
    folders = _folders(directory, benchmarks)
    logs = [(folder, log) for folder in folders for log in pending(folder)]
    if not logs:
        print("every run is uploaded")
        return
    for done, (folder, log) in enumerate(logs):
        print(f"{done} of {len(logs)} runs done", flush=True)
        _upload(directory, folder, log)
    left = [log for folder in folders for log in pending(folder)]
    if left:
        raise UserError(
            f"{len(left)} of {len(logs)} runs could not be uploaded; run `sitenet sync` again to retry them"
        )
    print(f"{len(logs)} of {len(logs)} runs done")


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


def _upload(directory: Path, folder: Path, log: Path) -> None:
    """Uploads a log with wandb's own command, which marks it as uploaded.

    Every log gets its own process, because wandb stops at the first log that it cannot read.
    """
    log.with_suffix(".wandb.synced").unlink(missing_ok=True)
    # Paths of the artifacts' files are relative to the workflow's directory.
    path = log.parent.relative_to(directory)
    command = [sys.executable, "-m", "wandb", "sync", "--yes", "--include-online", str(path)]
    subprocess.run(command, cwd=directory, env=environment(folder.relative_to(directory)) | RETRIES, check=False)
