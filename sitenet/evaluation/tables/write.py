"""Writes the tables of a benchmark."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from sitenet.evaluation.ablation import ablation_table, compare_trials
from sitenet.evaluation.results import Results
from sitenet.evaluation.search import importances, search_progress
from sitenet.evaluation.shift import shift_table
from sitenet.evaluation.tables.footer import footer
from sitenet.evaluation.tables.leaderboard import comparison_table, leaderboard_table
from sitenet.evaluation.tables.markdown import (
    ablation_markdown,
    comparison_markdown,
    leaderboard_latex,
    leaderboard_markdown,
    shift_markdown,
    trials_markdown,
)
from sitenet.evaluation.tables.record import leaderboard_record
from sitenet.evaluation.tables.search import search_markdown
from sitenet.evaluation.tables.trials import trials_table
from sitenet.failures import Failure, write_failures
from sitenet.files import write_text

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_tables(results: Results, folder: Path | str, ablation: bool, search: bool = False) -> None:
    """Writes the tables to `folder`: as CSV with every digit, rounded as Markdown, the leaderboard as JSON and LaTeX.

    Args:
        results: Results of the finished runs, which are also compared with those of another benchmark, if it has one.
        folder: An existing folder.
        ablation: Also compare the trials of each network with the first one.
        search: Also list the progress of searches, and what mattered.
    """
    folder, manifest = Path(folder), results.manifest
    table = leaderboard_table(results)
    title = f"# Benchmark {results.benchmark}: {manifest.quantity} of {manifest.name}"
    parts = [title, leaderboard_markdown(table, manifest.unit, results.task), footer(results)]
    _write_csv(identified(table, results), folder / "leaderboard.csv")
    write_text(folder / "leaderboard.md", "\n\n".join(parts) + "\n")
    write_text(folder / "leaderboard.tex", leaderboard_latex(table, manifest.unit, results.task) + "\n")
    write_text(folder / "leaderboard.json", leaderboard_record(table, results).model_dump_json(indent=1) + "\n")
    comparisons, trials = comparison_table(results.standings), trials_table(results)
    tables: dict[str, tuple[str, pd.DataFrame, Callable[..., str]]] = {
        "comparisons": ("Paired comparisons", comparisons, comparison_markdown),
        "trials": ("Trials", trials, trials_markdown),
    }
    if ablation:
        changes = ablation_table(
            compare_trials(results.runs, results.planned.grid, results.groups), results.planned, results.task
        )
        tables["ablation"] = ("Ablation: trials compared with a reference", changes, ablation_markdown)
    if other := results.other:
        shift = shift_table(results)
        text = shift_markdown(shift, manifest.unit, results.splits.kind, other)
        tables["shift"] = (f"Difference to {other.name}", shift, lambda *_: text)
    for name, (heading, frame, as_markdown) in tables.items():
        _write_csv(identified(frame, results), folder / f"{name}.csv")
        write_text(folder / f"{name}.md", f"# {heading}\n\n{as_markdown(frame, manifest.unit, results.task)}\n")
    if search:
        progress, mattered = search_progress(results), importances(results)
        named = progress.rename(columns={"validation_error": f"validation_{results.task.error.key}"})
        _write_csv(identified(named, results), folder / "search_progress.csv")
        _write_csv(identified(mattered, results), folder / "search_importance.csv")
        write_text(folder / "search.md", f"# Searches\n\n{search_markdown(progress, mattered, results)}\n")
    write_failures(folder / "failures.csv", map(_for_people, results.failures))


def identified(table: pd.DataFrame, results: Results) -> pd.DataFrame:
    """Puts data set, target and unit in front, so that tables of several benchmarks can be joined."""
    manifest = results.manifest
    identity = {
        "benchmark": results.benchmark,
        "dataset": manifest.name,
        "target": manifest.target,
        "unit": manifest.unit,
    }
    return pd.concat([pd.DataFrame(identity, index=table.index), table], axis=1)


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def _for_people(failure: Failure) -> Failure:
    """Spreadsheets run no cell that begins with an apostrophe.

    Ids stay as they are in the lists that programs read, those of the single stages.
    """
    return Failure(*(f"'{text}" if text.startswith(FORMULA) else text for text in failure))
