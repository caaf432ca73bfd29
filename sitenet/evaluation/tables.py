"""Writes the tables of a benchmark: CSV with every digit for programs, Markdown for people."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sitenet.data.manifest import Manifest, Splits
from sitenet.evaluation.cells import error_digits
from sitenet.evaluation.leaderboard import comparison_table, leaderboard_table
from sitenet.evaluation.markdown import comparison_markdown, footer, leaderboard_markdown, trials_markdown
from sitenet.evaluation.runs import Run
from sitenet.evaluation.standings import Standings
from sitenet.evaluation.trials import trials_table
from sitenet.files import write_text

FailureFiles = Sequence[Path | str]


def write_leaderboard(
    standings: Standings,
    runs: list[Run],
    manifest: Manifest,
    splits: Splits,
    failures: pd.DataFrame,
    csv: Path | str,
    markdown: Path | str,
) -> None:
    """Writes the leaderboard.

    Args:
        standings: From `compute_standings`.
        runs: All finished runs.
        manifest: Manifest of the data set.
        splits: What its folds are.
        failures: From `read_failures`.
        csv: Table with every digit; its columns are explained at `leaderboard_table`.
        markdown: Rounded table with the paired comparisons and a footer.
    """
    table = leaderboard_table(standings)
    digits = error_digits(table["mae"])
    comparisons = comparison_markdown(comparison_table(standings), manifest.unit, digits)
    title = f"# {manifest.name}: {manifest.target} ({manifest.unit})"
    notes = footer(standings, runs, manifest, splits, failures)
    parts = [title, leaderboard_markdown(table, manifest.unit), notes, "## Paired comparisons", comparisons]
    _write_csv(table, csv)
    write_text(markdown, "\n\n".join(parts) + "\n")


def write_comparisons(standings: Standings, csv: Path | str) -> None:
    """Writes the paired comparison of every two models."""
    _write_csv(comparison_table(standings), csv)


def write_trials(standings: Standings, runs: list[Run], unit: str, csv: Path | str, markdown: Path | str) -> None:
    """Writes the settings and scores of every planned trial."""
    table = trials_table(runs, standings)
    _write_csv(table, csv)
    write_text(markdown, f"# Trials\n\n{trials_markdown(table, unit)}\n")


def read_failures(paths: FailureFiles) -> pd.DataFrame:
    """Failed crystals (id, stage, reason) of several files; what two feature sets both report counts once."""
    frames = [pd.read_csv(path, dtype=str) for path in paths]
    return pd.concat(frames, ignore_index=True).drop_duplicates(ignore_index=True)


def write_failures(failures: pd.DataFrame, path: Path | str) -> None:
    """Writes the failed crystals of all stages."""
    _write_csv(failures, path)


def _write_csv(table: pd.DataFrame, path: Path | str) -> None:
    write_text(path, table.to_csv(index=False, lineterminator="\n"))
