"""Writes the tables of a benchmark: CSV with every digit for programs, Markdown for people."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from sitenet.data.manifest import Manifest, Splits
from sitenet.evaluation.ablation import Change, ablation_table
from sitenet.evaluation.cells import error_digits
from sitenet.evaluation.leaderboard import comparison_table, leaderboard_table
from sitenet.evaluation.markdown import (
    ablation_markdown,
    comparison_markdown,
    footer,
    leaderboard_markdown,
    trials_markdown,
)
from sitenet.evaluation.runs import Plan, Run
from sitenet.evaluation.standings import Standings
from sitenet.evaluation.trials import trials_table
from sitenet.features.shard import FeatureManifest
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
    changed: Mapping[str, int] | None = None,
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
        changed: From `read_changed`.
    """
    table = leaderboard_table(standings)
    table["n_train_full"] = max(splits.folds[fold].full_train for fold in standings.plan.folds)
    digits = error_digits(table["mae"])
    comparisons = comparison_markdown(comparison_table(standings), manifest.unit, digits)
    title = f"# {manifest.name}: {manifest.target} ({manifest.unit})"
    notes = footer(standings, runs, manifest, splits, failures, changed or {})
    parts = [title, leaderboard_markdown(table, manifest.unit), notes, "## Paired comparisons", comparisons]
    _write_csv(_identified(table, manifest), csv)
    write_text(markdown, "\n\n".join(parts) + "\n")


def write_comparisons(standings: Standings, manifest: Manifest, csv: Path | str) -> None:
    """Writes the paired comparison of every two models."""
    _write_csv(_identified(comparison_table(standings), manifest), csv)


def write_trials(
    standings: Standings, runs: list[Run], manifest: Manifest, csv: Path | str, markdown: Path | str
) -> None:
    """Writes the settings and scores of every planned trial."""
    table = trials_table(runs, standings)
    _write_csv(_identified(table, manifest), csv)
    write_text(markdown, f"# Trials\n\n{trials_markdown(table, manifest.unit)}\n")


def write_ablation(
    changes: Sequence[Change], plan: Plan, manifest: Manifest, csv: Path | str, markdown: Path | str
) -> None:
    """Writes what each trial of a network changes of the first of its kind, and what comes of it."""
    table = ablation_table(changes, plan)
    _write_csv(_identified(table, manifest), csv)
    write_text(markdown, f"# One trial against another\n\n{ablation_markdown(table, manifest.unit)}\n")


def _identified(table: pd.DataFrame, manifest: Manifest) -> pd.DataFrame:
    """The table with what it is about in front, so that those of several benchmarks can be joined."""
    identity = {"dataset": manifest.name, "target": manifest.target, "unit": manifest.unit}
    return pd.concat([pd.DataFrame(identity, index=table.index), table], axis=1)


def read_failures(paths: FailureFiles) -> pd.DataFrame:
    """Failed crystals (id, stage, reason) of several files; one that fails in two feature sets counts once."""
    failures = pd.concat([pd.read_csv(path, dtype=str) for path in paths], ignore_index=True)
    repeated = (failures["stage"] == "features") & failures.duplicated(["id", "stage"])
    return failures[~repeated].reset_index(drop=True)


def read_changed(manifests: Iterable[Path | str]) -> dict[str, int]:
    """Of each feature set, the crystals whose distortions the search for the primitive cell averaged away."""
    return {Path(path).parent.name: FeatureManifest.read(path).changed for path in manifests}


def write_failures(failures: pd.DataFrame, path: Path | str) -> None:
    """Writes the failed crystals of all stages, for people: spreadsheets run no cell that begins with an apostrophe.

    Ids stay as they are in the lists that programs read, those of the single stages.
    """
    _write_csv(failures.replace(r"^(?=[=+@\t\r-])", "'", regex=True), path)


def _write_csv(table: pd.DataFrame, path: Path | str) -> None:
    write_text(path, table.to_csv(index=False, lineterminator="\n"))
