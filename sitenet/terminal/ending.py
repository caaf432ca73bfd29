"""The last lines of a run: its result, or what stopped it and what to type next."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sitenet.errors import UserError
from sitenet.settings.tracking import FOLDER, TrackingSettings
from sitenet.terminal.jobs import Job

TYPED_IN = Path.cwd()  # where the command was typed: this is imported before Snakemake goes to its --directory
SHOWN_FAILURES = 5
NO_REASON = "it ended without an error message (killed, or out of memory?)"


@dataclass(frozen=True)
class Failure:
    """A job that failed: what it does, the last error of its log, and the log."""

    words: str
    reason: str
    log: str

    @classmethod
    def of(cls, job: Job, message: str | None) -> "Failure":
        """The failure of a job about which Snakemake has a message or none."""
        reason = job.error or " ".join((message or "").split()) or NO_REASON
        return cls(job.words, reason, ", ".join(map(shown, job.logs)))


def stopped(interrupted: bool, done: int, total: int, running: Sequence[str], failures: Sequence[Failure]) -> list[str]:
    """How a run ended that did not finish.

    Args:
        interrupted: The user stopped it.
        done: Number of jobs that are done.
        total: Number of planned jobs.
        running: What the jobs do that were interrupted.
        failures: Jobs that failed.
    """
    first, others = failures[:SHOWN_FAILURES], failures[SHOWN_FAILURES:]
    lines = [f"failed: {failure.words}: {failure.reason} (log: {failure.log})" for failure in first]
    if others:
        lines.append(f"failed: {len(others)} more jobs, named above")
    head = f"{done} of {total} jobs are done"
    if interrupted:
        head = f"interrupted: {head}" + (f", {', '.join(running[:2])} will go on" if running else "")
    return [*lines, f"{head}; to go on, type again: {command()}"]


def command() -> str:
    """The command that was typed."""
    return shlex.join(["snakemake", *sys.argv[1:]])


def result(tables: Path, log: str, tracking: TrackingSettings, benchmark: str) -> str:
    """The leaderboard in five columns, where there is one, and where everything is.

    Args:
        tables: Folder of the tables.
        log: Snakemake's log of the run.
        tracking: Settings of the tracking.
        benchmark: Name of the benchmark.
    """
    leaderboard, page = tables / "leaderboard.json", tables / "index.html"
    paths = {"page": shown(page) if page.exists() else "", "tables": "", "log": shown(log) if log else ""}
    table = ""
    if leaderboard.exists():
        paths["tables"] = f"{shown(tables)}/"
        table = _summary(leaderboard)
    if tracking.mode == "offline" and Path(FOLDER, benchmark).is_dir():
        paths["W&B"] = f"{shown(Path(FOLDER, benchmark))}, kept until `sitenet sync` uploads it"
    return "\n".join([table, *(f"{name:<7} {path}" for name, path in paths.items() if path)])


def _summary(leaderboard: Path) -> str:
    from sitenet.evaluation.tables.summary import summary_table

    try:
        return f"\n{summary_table(leaderboard).strip()}\n"
    except UserError as error:
        return str(error)


def shown(path: Path | str) -> str:
    """A path as the user can type it: relative to where the command was typed, unless it is elsewhere."""
    absolute = Path(path).absolute()
    return str(absolute.relative_to(TYPED_IN) if absolute.is_relative_to(TYPED_IN) else absolute)
