"""Markdown tables: rounded values with units, and a footer on data, statistics and hardware."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from sitenet.data.manifest import Manifest, Splits
from sitenet.evaluation.results import Results
from sitenet.evaluation.runs import Run
from sitenet.evaluation.standings import Standings
from sitenet.evaluation.statistics.metrics import METRICS
from sitenet.evaluation.tables.columns import LEADERBOARD
from sitenet.evaluation.tables.formats import (
    column,
    error_digits,
    fixed,
    integer,
    interval,
    markdown,
    out_of,
    signed,
)
from sitenet.failures import Failure


def leaderboard_markdown(table: pd.DataFrame, unit: str) -> str:
    """The leaderboard as a Markdown table; all errors have the decimals of the best model's MAE."""
    digits = error_digits(table["mae"])
    one_seed = (table["runs_planned"] == table["folds_planned"]).all()
    shown = {
        c.label.format(unit=unit): column(table, c.form(digits), *c.values)
        for c in LEADERBOARD
        if c.label and not (c.label == "runs" and one_seed)
    }
    return markdown(pd.DataFrame(shown), text_columns=3)


def trials_markdown(table: pd.DataFrame, unit: str) -> str:
    """The trials as a Markdown table, without settings that never vary; missing settings are blank."""
    digits = error_digits(table["validation_mae"])
    constant = [name for name in map(str, table.columns) if "." in name and not _varies(table, name)]
    table = table.drop(columns=constant)
    shown = table.astype(object).where(table.notna(), "")
    for name in map(str, table.columns):
        if "_mae" in name:
            shown[name] = column(table, fixed(digits), name)
    shown["parameters"] = column(table, integer, "parameters")
    shown["training_seconds"] = column(table, fixed(0), "training_seconds")
    errors = f"`validation_mae` and `test_mae` are means over folds; they and the values of single folds are in {unit}."
    return f"{markdown(shown, text_columns=2)}\n\n{errors}"


def _varies(table: pd.DataFrame, setting: str) -> bool:
    return any(values.nunique() > 1 for _, values in table.groupby("kind")[setting])


def ablation_markdown(table: pd.DataFrame, unit: str) -> str:
    """The comparison of each trial with the first of its kind as a Markdown table, with explanations."""
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
        "reference's, on the same folds, seeds and test crystals. Negative differences are better. A dash means that "
        "test targets are withheld or runs are missing. Training time is relative to the reference's in the same runs.",
        "Intervals: Student's t with Welch-Satterthwaite degrees of freedom. The variance has two terms: the variance "
        "of the mean over seeds (of the difference of each fold and seed, pooled over folds), and the variance of the "
        "mean over test crystals (of the difference averaged over seeds, within each fold). The intervals account for "
        "the choice of seeds and test crystals. A seed also draws the subset of the training crystals, if their number "
        "is limited. With few seeds the intervals are wide. With one seed the variation between trainings is unknown "
        "and not included.",
        f"The intervals are not adjusted for multiple comparisons: of {n_compared} trials without any effect, "
        f"{0.05 * n_compared:.1f} are expected to have an interval that excludes 0.",
    ]
    return "\n".join(f"- {line}" for line in lines)


def comparison_markdown(table: pd.DataFrame, unit: str, digits: int) -> str:
    """The paired comparisons as a Markdown table, with as many decimals as the leaderboard."""
    columns = {
        "model": table["model"],
        "compared with": table["other"],
        f"difference in MAE ({unit})": column(table, signed(digits), "difference"),
        "95 % interval": column(table, interval(digits, "+"), "difference_low", "difference_high"),
        "folds": column(table, integer, "folds"),
        "test crystals": column(table, integer, "n_test"),
    }
    return markdown(pd.DataFrame(columns), text_columns=2)


def footer(results: Results) -> str:
    """What a reader needs to judge the leaderboard: data, splits, failures, statistics and hardware."""
    manifest, standings = results.manifest, results.standings
    lines = [
        _data(manifest),
        *_targets(manifest),
        *_splits(results.splits, results.planned.folds),
        _failures(manifest, results.failures),
        *_changed(results.changed),
    ]
    if manifest.filters:
        limits = ", ".join(f"{name} = {value:,}" for name, value in manifest.filters.items())
        lines.append(f"Subset: {manifest.counts.kept:,} of {manifest.counts.rows:,} crystals are used ({limits}).")
    lines += [*_unlabelled(standings), _statistics(standings), *_selection(standings), _hardware(results.runs)]
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


def _failures(manifest: Manifest, failures: Sequence[Failure]) -> str:
    if not failures:
        return f"Failed crystals: none of {manifest.counts.rows:,}."
    reasons = Counter(failure.kind for failure in failures)
    listed = ", ".join(f"{n:,} {reason}" for reason, n in reasons.most_common())
    featureless = any(failure.stage == "features" for failure in failures)
    note = " Networks predict the mean of their training targets for crystals without features." if featureless else ""
    return f"Failed crystals: {len(failures):,} of {manifest.counts.rows:,} ({listed}); see failures.csv.{note}"


def _changed(changed: Mapping[str, int]) -> list[str]:
    listed = ", ".join(f"{n:,} in {features}" for features, n in changed.items() if n)
    return (
        [f"Crystals changed by more than 0.02 angstrom in the search for primitive cells: {listed}."] if listed else []
    )


def _unlabelled(standings: Standings) -> list[str]:
    counts = {fold: runs[0].test.n_unlabelled for row in standings.rows for fold, runs in row.runs.items()}
    total = sum(counts.values())
    return [f"Unlabelled test crystals: {total:,} in the folds shown, predicted but not scored."] if total else []


def _over_folds() -> str:
    """How each metric is joined over folds, "mean of MAE, RMSE; largest of largest error" for example."""
    ways: dict[str, list[str]] = {}
    for metric in METRICS:
        ways.setdefault(metric.over_folds, []).append(metric.label)
    return "; ".join(f"{way} of {', '.join(labels)}" for way, labels in ways.items())


def _statistics(standings: Standings) -> str:
    n_resamples = len(standings.bootstrap.replicates) if standings.bootstrap else 0
    return (
        f"Over folds: {_over_folds()}; std is the sample standard deviation (n - 1). "
        f"Intervals: 95 % percentile bootstrap with {n_resamples:,} resamples of the test crystals within each fold. "
        "Errors are first averaged over seeds; those of an ensemble are the errors of its averaged predictions. "
        "All models share the resamples, so differences are paired. The intervals hold for these trained models and "
        "do not include the variation between trainings. A model without a score on a fold that others have is not "
        "ranked. Training times are sums over all runs of a row."
    )


def _selection(standings: Standings) -> list[str]:
    if all(row.candidates == 1 for row in standings.rows):
        return []
    return [
        "Selection: on each fold the trial with the lowest validation MAE (mean over seeds), on validation crystals "
        "of the fold's training part. Test scores are not used. Baselines are not selected: each of their trials is a "
        "row and is fitted again with the validation crystals. Time with search is that of all candidate trials."
    ]


def _hardware(runs: list[Run]) -> str:
    values: dict[str, set[str]] = {}
    for run in runs:
        for name, value in run.result.hardware.items():
            values.setdefault(name, set()).add(str(value))
    machines = "; ".join(f"{name}: {', '.join(sorted(seen))}" for name, seen in values.items())
    restarts = sum(run.result.cost.restarts for run in runs)
    computed_by = sorted({path for run in runs for path in run.result.computed_by})
    work = f" Work on pairs in training: {', '.join(computed_by)}." if computed_by else ""
    return f"Hardware: {machines or 'no runs'}.{work} Times include {restarts} restarts."
