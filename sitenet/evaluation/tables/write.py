"""Writes the tables of a benchmark: CSV files with all digits, and rounded Markdown."""

from pathlib import Path

import pandas as pd

from sitenet.evaluation.ablation import ablation_table, compare_trials
from sitenet.evaluation.results import Results
from sitenet.evaluation.tables.formats import error_digits
from sitenet.evaluation.tables.leaderboard import comparison_table, leaderboard_table
from sitenet.evaluation.tables.markdown import (
    ablation_markdown,
    comparison_markdown,
    footer,
    leaderboard_markdown,
    trials_markdown,
)
from sitenet.evaluation.tables.record import leaderboard_record
from sitenet.evaluation.tables.trials import trials_table
from sitenet.failures import Failure, write_failures
from sitenet.files import write_text

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_tables(results: Results, folder: Path | str, ablation: bool) -> None:
    """Writes leaderboard, comparisons, trials and failures to `folder` as CSV, all but failures as Markdown, too.

    Args:
        results: Results of the finished runs.
        folder: An existing folder.
        ablation: Also compare the trials of each network with the first one.
    """
    folder, manifest = Path(folder), results.manifest
    table, comparisons = leaderboard_table(results), comparison_table(results.standings)
    _write_csv(_identified(table, results), folder / "leaderboard.csv")
    write_text(folder / "leaderboard.json", leaderboard_record(table, results).model_dump_json(indent=1) + "\n")
    _write_csv(_identified(comparisons, results), folder / "comparisons.csv")
    title = f"# Benchmark {results.benchmark}: {manifest.target} ({manifest.unit}) of {manifest.name}"
    paired = comparison_markdown(comparisons, manifest.unit, error_digits(table["mae"]))
    parts = [title, leaderboard_markdown(table, manifest.unit), footer(results), "## Paired comparisons", paired]
    write_text(folder / "leaderboard.md", "\n\n".join(parts) + "\n")
    trials = trials_table(results)
    _write_csv(_identified(trials, results), folder / "trials.csv")
    write_text(folder / "trials.md", f"# Trials\n\n{trials_markdown(trials, manifest.unit)}\n")
    if ablation:
        changes = ablation_table(compare_trials(results.runs, results.planned), results.planned)
        _write_csv(_identified(changes, results), folder / "ablation.csv")
        text = f"# Ablation: trials compared with a reference\n\n{ablation_markdown(changes, manifest.unit)}\n"
        write_text(folder / "ablation.md", text)
    write_failures(folder / "failures.csv", map(_for_people, results.failures))


def _identified(table: pd.DataFrame, results: Results) -> pd.DataFrame:
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
