"""Runs the installed Snakemake on this workflow and reads what it prints."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def snakemake(*arguments: object, directory: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs `snakemake` with results under `directory`; shows its output where it fails against `check`.

    Tracking is off unless WANDB_MODE says otherwise.
    """
    command = [sys.executable, "-m", "snakemake", "-s", ROOT / "Snakefile", "-d", directory, "--cores", "2"]
    run = subprocess.run(
        [*map(str, [*command, *arguments])], capture_output=True, text=True, env={"WANDB_MODE": "disabled"} | os.environ
    )
    if check and run.returncode:
        raise AssertionError(f"snakemake {arguments} failed:\n{run.stdout[-5000:]}\n{run.stderr[-5000:]}")
    return run


def job_counts(run: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """The table of jobs by rule that a (dry) run prints; empty where nothing is to be done."""
    text = run.stdout + run.stderr
    if "Nothing to be done" in text:
        return {}
    table = text.split("job  ", 1)[1].split("\n\n", 1)[0]
    return {rule: int(count) for rule, count in re.findall(r"^(\w+)\s+(\d+)$", table, flags=re.MULTILINE)}
