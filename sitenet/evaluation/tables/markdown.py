"""Tables for people, Markdown and LaTeX: rounded values with units, and notes that say how they were made."""

import pandas as pd
from tabulate import tabulate

from sitenet.evaluation.other import OtherBenchmark
from sitenet.evaluation.tables.formats import column, integer, markdown, out_of
from sitenet.evaluation.tables.leaderboard import MANY
from sitenet.evaluation.tables.record import without_missing
from sitenet.evaluation.tables.rounding import duration, measured
from sitenet.evaluation.tables.summary import cells, headings
from sitenet.tasks import REGRESSION, Task


def leaderboard_markdown(table: pd.DataFrame, unit: str, task: Task = REGRESSION) -> str:
    """The summary of the leaderboard; numbers of folds and runs are shown where some are missing."""
    shown = _summary(table, unit, task)
    for name in ("folds", "runs"):
        scored, planned = f"{name}_scored", f"{name}_planned"
        if (table[scored] < table[planned]).any():
            shown[name] = column(table, out_of, scored, planned)
    return markdown(shown, text_columns=4)


def leaderboard_latex(table: pd.DataFrame, unit: str, task: Task = REGRESSION) -> str:
    """The summary of the leaderboard as a LaTeX table of the package booktabs; special characters are escaped."""
    shown, align = _summary(table, unit, task), ("right", "left", "left", "left", "right")
    rows, names = shown.to_numpy().tolist(), shown.columns.tolist()
    return tabulate(rows, names, tablefmt="latex_booktabs", colalign=align, disable_numparse=True)


def _summary(table: pd.DataFrame, unit: str, task: Task) -> pd.DataFrame:
    return pd.DataFrame([cells(row, task) for row in without_missing(table)], columns=headings(unit, task))


def comparison_markdown(table: pd.DataFrame, unit: str, task: Task = REGRESSION) -> str:
    """The paired comparisons as a Markdown table, with explanations."""
    score = task.score
    favours = "negative" if score.better == "lower" else "positive"
    columns = {
        "model": table["model"],
        "compared with": table["other"],
        f"difference in {score.header(unit)}, 95 % interval": _differences(table, "difference"),
        "corrected p": column(table, lambda p: f"{p:.2g}", "p_value"),
        "folds": column(table, integer, "folds"),
        "test crystals": column(table, integer, "n_test"),
    }
    notes = (
        f"Differences are the {score.label} of the model minus that of the one it is compared with, on the same test "
        f"crystals; {favours} ones favour the model. Each interval is for its comparison alone. The p-value is "
        "corrected for all pairs of ranked models: among models that are equally good, one of 0.05 or less occurs in "
        f"one benchmark of twenty. Of more than {MANY} models, each is compared with the best alone."
    )
    return f"{markdown(pd.DataFrame(columns), text_columns=2)}\n\n{notes}"


def shift_markdown(table: pd.DataFrame, unit: str, splits: str, other: OtherBenchmark) -> str:
    """The comparison with another benchmark as a Markdown table, with explanations.

    Args:
        table: The comparison.
        unit: Unit of the errors.
        splits: Kind of splits of this benchmark.
        other: The other benchmark.
    """
    columns = {
        "model": table["model"],
        f"MAE ({unit})": column(table, measured, "mae"),
        f"MAE in {other.name} ({unit})": column(table, measured, "other_mae"),
        "difference, 95 % interval": _differences(table, "difference"),
        "folds": column(table, integer, "folds"),
        "test crystals": column(table, integer, "n_test"),
    }
    notes = (
        f"Splits: {splits} here, {other.splits} in {other.name}. Both errors are of the same crystals: those that this "
        f"benchmark tests and {other.name} tests, too. They are means over the folds of this benchmark. Positive "
        "differences are what a model loses with these splits. "
        "Intervals are those of a bootstrap over formulas, for these trained models. Ensembles, and models whose "
        f"trials {other.name} lacks, are left out."
    )
    return f"{markdown(pd.DataFrame(columns), text_columns=1)}\n\n{notes}"


def trials_markdown(table: pd.DataFrame, unit: str, task: Task = REGRESSION) -> str:
    """The trials as a Markdown table, without settings that never vary; missing settings are blank."""
    error, score = f"validation_{task.error.key}", f"test_{task.score.key}"
    constant = [name for name in map(str, table.columns) if "." in name and not _varies(table, name)]
    table = table.drop(columns=constant)
    shown = table.astype(object).where(table.notna(), "")
    for name in map(str, table.columns):
        if name.startswith((error, score)):
            shown[name] = column(table, measured, name)
    shown["parameters"] = column(table, integer, "parameters")
    shown["training_seconds"] = column(table, duration, "training_seconds")
    shown = shown.rename(columns={"training_seconds": "training time"})
    note = f"`{error}` and `{score}` are means over folds"
    note += f"; they and the values of single folds are in {unit}." if task.score.has_unit else "."
    return f"{markdown(shown, text_columns=2)}\n\n{note}"


def _varies(table: pd.DataFrame, setting: str) -> bool:
    return any(values.nunique(dropna=False) > 1 for _, values in table.groupby("kind")[setting])


def ablation_markdown(table: pd.DataFrame, unit: str, task: Task = REGRESSION) -> str:
    """The comparison of each trial with its reference as a Markdown table, with explanations."""
    columns = {
        "kind": table["kind"],
        "trial": table["trial"],
        "change": table["changes"].where(table["trial"] != table["reference"], _references(table["among"])),
        f"test {task.crystal_error.header(unit)}": column(table, measured, f"test_{task.crystal_error.key}"),
        "difference, 95 % interval": _differences(table, "difference"),
        f"difference in validation {task.error.label}": _differences(table, "validation_difference"),
        "training time": column(table, lambda ratio: f"x {ratio:.2f}", "time_ratio"),
        "runs": column(table, out_of, "runs_paired", "runs_planned"),
        "seeds": column(table, integer, "seeds"),
    }
    return f"{markdown(pd.DataFrame(columns), text_columns=3)}\n\n{_ablation_notes(table, task)}"


def _references(among: "pd.Series[str]") -> "pd.Series[str]":
    return "reference" + among.where(among == "", ": " + among)


def _differences(table: pd.DataFrame, name: str) -> list[str]:
    """Signed differences with their intervals, where they have one."""
    ends = [table[end] if end in table else [None] * len(table) for end in (f"{name}_low", f"{name}_high")]
    return [measured(value, low, high, "+") for value, low, high in zip(table[name], *ends, strict=True)]


def _ablation_notes(table: pd.DataFrame, task: Task) -> str:
    n_compared = int(table["difference"].notna().sum())
    lines = [
        "The reference is the first trial of its kind in the grid, of its kind and number of training crystals where "
        f"trials share one. Differences are a trial's {task.crystal_error.label} minus the reference's, on the same "
        "folds, seeds and test crystals. Negative differences are better. A dash means that test targets are "
        "withheld or runs are missing. Training time is relative to the reference's in the same runs.",
        "Intervals: Student's t with Welch-Satterthwaite degrees of freedom. The variance has two terms: the variance "
        "of the mean over seeds (of the difference of each fold and seed, pooled over folds), and the variance of the "
        "mean over test crystals (of the difference averaged over seeds, within each fold; crystals of one formula "
        "count as one draw, also where they are in several folds). The intervals account for the choice of seeds and "
        "test crystals. A seed also draws the subset of the training crystals, if their number is limited. With few "
        "seeds the intervals are wide. With one seed the variation between trainings is unknown and not included.",
        f"The intervals are not adjusted for multiple comparisons: of {n_compared} trials without any effect, "
        f"{0.05 * n_compared:.1f} are expected to have an interval that excludes 0.",
    ]
    return "\n".join(f"- {line}" for line in lines)
