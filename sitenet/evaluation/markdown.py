"""Tables for people: rounded, with units, and a footer that says what stands behind the numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from sitenet.data.manifest import Manifest, Splits
from sitenet.evaluation.cells import (
    column,
    difference,
    error_digits,
    fixed,
    integer,
    interval,
    markdown,
    out_of,
    signed,
    span,
    training_crystals,
)
from sitenet.evaluation.runs import Run
from sitenet.evaluation.standings import Standings


def leaderboard_markdown(table: pd.DataFrame, unit: str) -> str:
    """The leaderboard as a Markdown table; errors get the digits that the best model's MAE needs."""
    digits = error_digits(table["mae"])
    columns = {
        "rank": column(table, integer, "rank"),
        "model": table["model"],
        "trial": table["trial"],
        f"MAE ({unit})": column(table, fixed(digits), "mae"),
        "std over folds": column(table, fixed(digits), "mae_std"),
        "95 % interval": column(table, interval(digits), "mae_low", "mae_high"),
        "difference to best": column(table, difference(digits), "difference", "difference_low", "difference_high"),
        f"RMSE ({unit})": column(table, fixed(digits), "rmse"),
        "largest error": column(table, fixed(digits), "max_error"),
        "folds": column(table, out_of, "folds_scored", "folds_planned"),
        "runs": column(table, out_of, "runs_scored", "runs_planned"),
        "test crystals": column(table, integer, "n_test"),
        "training + validation crystals": column(table, training_crystals, "n_train", "n_validation", "n_train_full"),
        "parameters": column(table, span, "parameters_min", "parameters_max"),
        "training (s)": column(table, fixed(0), "training_seconds"),
        "with search (s)": column(table, fixed(0), "search_seconds"),
        "peak memory (MB)": column(table, fixed(0), "peak_memory_mb"),
    }
    if (table["runs_planned"] == table["folds_planned"]).all():  # one seed
        del columns["runs"]
    return markdown(pd.DataFrame(columns), text_columns=3)


def trials_markdown(table: pd.DataFrame, unit: str) -> str:
    """The trials as a Markdown table; settings that a model kind does not have are left blank."""
    digits = error_digits(table["validation_mae"])
    constant = [name for name in map(str, table.columns) if "." in name and not _varies(table, name)]
    table = table.drop(columns=constant)
    shown = table.astype(object).where(table.notna(), "")
    for name in map(str, table.columns):
        if "_mae" in name:
            shown[name] = column(table, fixed(digits), name)
    shown["parameters"] = column(table, integer, "parameters")
    shown["training_seconds"] = column(table, fixed(0), "training_seconds")
    errors = f"`validation_mae` and `test_mae` (means over folds) and their values by fold are in {unit}."
    return f"{markdown(shown, text_columns=2)}\n\n{errors}"


def _varies(table: pd.DataFrame, setting: str) -> bool:
    return any(values.nunique() > 1 for _, values in table.groupby("kind")[setting])


def ablation_markdown(table: pd.DataFrame, unit: str) -> str:
    """Each trial against the first of its kind as a Markdown table, with what its numbers mean."""
    digits = error_digits(table["test_mae"])
    columns = {
        "kind": table["kind"],
        "trial": table["trial"],
        "change": table["changes"].where(table["trial"] != table["reference"], "reference"),
        f"test MAE ({unit})": column(table, fixed(digits), "test_mae"),
        "difference": column(table, signed(digits), "difference"),
        "95 % interval": column(table, interval(digits, "+"), "difference_low", "difference_high"),
        "difference in validation MAE": column(table, signed(digits), "validation_difference"),
        "training time": column(table, lambda ratio: f"x {ratio:.2f}", "time_ratio"),
        "runs": column(table, out_of, "runs_paired", "runs_planned"),
        "seeds": column(table, integer, "seeds"),
    }
    return f"{markdown(pd.DataFrame(columns), text_columns=3)}\n\n{_ablation_notes(table)}"


def _ablation_notes(table: pd.DataFrame) -> str:
    n_compared = int(table["difference"].notna().sum())
    lines = [
        "The reference is the first trial of its kind in the grid. Differences are a trial's MAE minus the "
        "reference's, over the runs that both have: the same folds, seeds and test crystals. Negative is better; "
        "a dash stands where test targets are withheld or runs are missing. Training time is a multiple of the "
        "reference's in the same runs.",
        "Intervals: Student's t with the degrees of freedom of Welch and Satterthwaite. The variance adds that of "
        "the mean over seeds (of the difference of each fold and seed, pooled over folds) and that of the mean over "
        "test crystals (of the difference averaged over seeds, within each fold). They hold for other seeds, which "
        "also draw other subsets of the training crystals where there is a limit to these, and for other test "
        "crystals; with few seeds they are wide. Where seeds is 1 the spread over trainings is not known and "
        "left out.",
        f"The intervals are not adjusted for the number of comparisons: of {n_compared} trials that change nothing, "
        f"{0.05 * n_compared:.1f} are expected to have an interval without 0.",
    ]
    return "\n".join(f"- {line}" for line in lines)


def comparison_markdown(table: pd.DataFrame, unit: str, digits: int) -> str:
    """The paired comparisons as a Markdown table, errors with as many decimals as in the leaderboard."""
    columns = {
        "model": table["model"],
        "compared with": table["other"],
        f"difference in MAE ({unit})": column(table, signed(digits), "difference"),
        "95 % interval": column(table, interval(digits, "+"), "difference_low", "difference_high"),
        "folds": column(table, integer, "folds"),
        "test crystals": column(table, integer, "n_test"),
    }
    return markdown(pd.DataFrame(columns), text_columns=2)


def footer(
    standings: Standings,
    runs: list[Run],
    manifest: Manifest,
    splits: Splits,
    failures: pd.DataFrame,
    changed: Mapping[str, int],
) -> str:
    """What a reader needs to judge the leaderboard: data, splits, failures, statistics and hardware."""
    lines = [
        _data(manifest),
        *_targets(manifest),
        *_splits(splits, standings.plan.folds),
        _failures(manifest, failures),
    ]
    lines += _changed(changed)
    if manifest.filters:
        limits = ", ".join(f"{name} = {value:,}" for name, value in manifest.filters.items())
        lines.append(f"Subset: {manifest.counts.kept:,} of {manifest.counts.rows:,} crystals are used ({limits}).")
    lines += [*_unlabelled(standings), _statistics(standings), *_selection(standings), _hardware(runs)]
    return "\n".join(f"- {line}" for line in lines)


def _data(manifest: Manifest) -> str:
    return (
        f"Data: {manifest.name}, {manifest.counts.kept:,} crystals, target {manifest.target} "
        f"({manifest.unit}); source: {manifest.version}, {manifest.url}, SHA-256 {manifest.sha256}; "
        f"licence: {manifest.licence}. Cite: {manifest.citation}."
    )


def _targets(manifest: Manifest) -> list[str]:
    if manifest.targets is None:
        return []
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in vars(manifest.targets).items())
    return [f"Targets ({manifest.unit}): {numbers}."]


def _splits(splits: Splits, folds: Sequence[int]) -> list[str]:
    shown = f"folds {', '.join(map(str, folds))} of {len(splits.folds)}"
    identity = f"Splits: {splits.kind}, seed {splits.seed}, {shown}, SHA-256 {splits.sha256}."
    return [identity, *splits.subset_notes(folds)]


def _failures(manifest: Manifest, failures: pd.DataFrame) -> str:
    if failures.empty:
        return f"Failed crystals: none of {manifest.counts.rows:,}."
    reasons = Counter(reason.split(":")[0] for reason in failures["reason"])
    listed = ", ".join(f"{n:,} {reason}" for reason, n in reasons.most_common())
    featureless = (failures["stage"] == "features").any()
    note = " Networks predict their training mean for crystals without features." if featureless else ""
    return f"Failed crystals: {len(failures):,} of {manifest.counts.rows:,} ({listed}); see failures.csv.{note}"


def _changed(changed: Mapping[str, int]) -> list[str]:
    listed = ", ".join(f"{n:,} in {features}" for features, n in changed.items() if n)
    return (
        [f"Crystals changed by more than 0.02 angstrom in the search for primitive cells: {listed}."] if listed else []
    )


def _unlabelled(standings: Standings) -> list[str]:
    counts = {fold: runs[0].test.n_unlabelled for entry in standings.entries for fold, runs in entry.runs.items()}
    total = sum(counts.values())
    return [f"Unlabelled test crystals: {total:,} in the folds shown, predicted but not scored."] if total else []


def _statistics(standings: Standings) -> str:
    n_resamples = len(standings.bootstrap.replicates) if standings.bootstrap else 0
    return (
        "MAE and RMSE are means over folds, std is the sample standard deviation (n - 1) over folds. "
        f"Intervals: 95 % percentile bootstrap, {n_resamples:,} resamples of the test crystals within each "
        "fold, errors averaged over seeds first (an ensemble's are those of its averaged predictions), the same "
        "resamples for all models, so that differences are "
        "paired. They hold for these trained models and leave out the spread that training again would add. "
        "A model that lacks a fold others have has no rank. Training times are sums over all runs of a row."
    )


def _selection(standings: Standings) -> list[str]:
    if all(entry.candidates == 1 for entry in standings.entries):
        return []
    return [
        "Selection: on each fold the trial with the lowest validation MAE (mean over seeds), on crystals of "
        "the fold's training part; no test score is read. Baselines are not selected, each of their trials "
        "is a row, fitted to the validation crystals too. Time with search is that of all trials chosen from."
    ]


def _hardware(runs: list[Run]) -> str:
    values: dict[str, set[str]] = {}
    for run in runs:
        for name, value in run.result.hardware.items():
            values.setdefault(name, set()).add(str(value))
    machines = "; ".join(f"{name}: {', '.join(sorted(seen))}" for name, seen in values.items())
    restarts = sum(run.result.cost.restarts for run in runs)
    return f"Hardware: {machines or 'no runs'}. Times include {restarts} restarts."
