"""What stands below the leaderboard: data, splits, failures, statistics and hardware."""

from collections import Counter
from collections.abc import Mapping, Sequence

from sitenet.data.manifest import Manifest, Splits
from sitenet.evaluation.results import Results
from sitenet.evaluation.runs import Run
from sitenet.evaluation.standings import Standings
from sitenet.evaluation.statistics.bootstrap import MIN_GROUPS
from sitenet.failures import Failure
from sitenet.settings.descriptors import DESCRIPTORS


def footer(results: Results) -> str:
    """What a reader needs to judge the leaderboard: data, splits, failures, statistics and hardware."""
    manifest, standings = results.manifest, results.standings
    lines = [
        *_missing(results),
        _data(manifest),
        *_targets(manifest),
        *_splits(results.splits, results.planned.folds),
        _failures(manifest, results.failures),
        *_changed(results.changed),
    ]
    if manifest.filters:
        limits = ", ".join(f"{name} = {value:,}" for name, value in manifest.filters.items())
        lines.append(f"Subset: {manifest.counts.kept:,} of {manifest.counts.rows:,} crystals are used ({limits}).")
    lines += [*_trained_elsewhere(standings), *_pretrained(standings)]
    lines += [
        *_unlabelled(standings),
        *_statistics(standings),
        *_selection(standings),
        *_origins(results.runs),
        _hardware(results.runs),
    ]
    return "\n".join(f"- {line}" for line in lines)


def _missing(results: Results) -> list[str]:
    """Of tables so far, that they are; those of a finished benchmark have all runs."""
    grid, finished = results.planned.grid, {run.result.key for run in results.runs}
    planned = len(grid.trials) * len(grid.folds) * len(grid.seeds)
    missing = planned - sum(key.trial in grid.trials for key in finished)
    if not missing:
        return []
    return [f"Missing: {missing:,} of {planned:,} planned runs; the best trials are the best of the others."]


def _data(manifest: Manifest) -> str:
    return (
        f"Data: {manifest.name}, {manifest.counts.kept:,} crystals, target {manifest.quantity}; "
        f"source: {manifest.version}, {manifest.url}, SHA-256 {manifest.sha256[:12]}...; "
        f"licence: {manifest.licence}. Cite: {manifest.citation}."
    )


def _targets(manifest: Manifest) -> list[str]:
    if manifest.targets is None:
        return [f"Classes: {manifest.classes}."] if manifest.classes else []
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in vars(manifest.targets).items())
    return [f"Targets ({manifest.unit}): {numbers}."]


def _splits(splits: Splits, folds: Sequence[int]) -> list[str]:
    shown = f"folds {', '.join(map(str, folds))} of {len(splits.folds)}"
    identity = f"Splits: {splits.kind}, seed {splits.seed}, {shown}, SHA-256 {splits.sha256[:12]}..."
    return [identity, *splits.held_out_notes(folds), *splits.subset_notes(folds)]


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


def _trained_elsewhere(standings: Standings) -> list[str]:
    models = [row.model for row in standings.rows if not row.is_trained_here]
    if not models:
        return []
    return [
        f"Not trained here: {'; '.join(models)}. Their predictions were read from files. What they were trained on, "
        "and how they were chosen, is not known."
    ]


def _pretrained(standings: Standings) -> list[str]:
    lines = []
    for name, kind in DESCRIPTORS.items():
        models = [row.model for row in standings.rows if name in row.descriptors]
        if models:
            who = f"{'; '.join(models)} read features of sites by {kind.title}"
            lines.append(f"Pretrained: {who}, which saw {kind.pretrained_on}.")
    scratch = [row.model for row in standings.rows[: standings.n_ranked] if not row.descriptors]
    if lines and scratch:
        ranks = "; ".join(f"{n} {model}" for n, model in enumerate(scratch, start=1))
        lines.append(f"Ranks without pretrained models: {ranks}.")
    return lines


def _unlabelled(standings: Standings) -> list[str]:
    counts = {fold: runs[0].test.n_unlabelled for row in standings.rows for fold, runs in row.runs.items()}
    total = sum(counts.values())
    return [f"Unlabelled test crystals: {total:,} in the folds shown, predicted but not scored."] if total else []


def _statistics(standings: Standings) -> list[str]:
    if standings.bootstrap is None:
        return []
    if standings.is_small:
        found = f"The scored test crystals have {standings.bootstrap.n_groups():,} different formulas or groups"
        return [f"{found}, fewer than {MIN_GROUPS}: too few for intervals, ranks and verdicts."]
    return [
        f"Intervals: 95 %, from {len(standings.bootstrap.replicates):,} bootstrap resamples of formulas, for these "
        "trained models. Verdict against the best: p = 0.05, corrected for all pairs of ranked models. A model without "
        "a score on a fold that others have has no rank."
    ]


def _selection(standings: Standings) -> list[str]:
    if all(row.candidates == 1 for row in standings.rows):
        return []
    return [
        f"Selection: on each fold the trial with the lowest validation {standings.task.error.label}. "
        "Training times are those of the selected "
        "trials, summed over runs."
    ]


def _origins(runs: Sequence[Run]) -> list[str]:
    origins = sorted({f"Trial {run.result.key.trial}: {run.result.origin}." for run in runs if run.result.origin})
    warning = "What a network learnt before may have included test crystals: if so, its scores are too good."
    return [*origins, warning] if origins else []


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
