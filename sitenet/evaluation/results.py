"""Results of a benchmark, read once from its files for tables, figures and submissions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sitenet.data.manifest import Manifest, Splits
from sitenet.evaluation.other import OtherBenchmark
from sitenet.evaluation.runs import PlannedRuns, Run
from sitenet.evaluation.selection import Selection, check_selections, select_trials
from sitenet.evaluation.standings import Standings, compute_standings
from sitenet.failures import FAILURES, Failure, read_failures
from sitenet.features.shard import FeatureManifest
from sitenet.records import RunResult
from sitenet.search.stage import Stage, with_stages
from sitenet.tasks import Task

Paths = Sequence[Path | str]
TARGETS = "targets.parquet"  # and groups


@dataclass(frozen=True)
class Results:
    """The results of a benchmark.

    Attributes:
        benchmark: Its name.
        standings: The rows of the leaderboard with their scores.
        runs: All finished runs.
        manifest: Description of the data set.
        splits: Description of its folds.
        failures: Crystals that could not be used, from all stages.
        changed: Of each feature set, the number of crystals whose distortions the primitive cell averages away.
        groups: Id of each crystal -> its group: its reduced formula, or what the data set says.
        stages: The stages of searches, of each search and fold in their order.
        other: The benchmark that errors are compared with, if there is one.
    """

    benchmark: str
    standings: Standings
    runs: list[Run]
    manifest: Manifest
    splits: Splits
    failures: list[Failure]
    changed: Mapping[str, int]
    groups: Mapping[str, str]
    stages: Sequence[Stage] = ()
    other: OtherBenchmark | None = None

    @property
    def planned(self) -> PlannedRuns:
        """The planned runs; some of them may be missing in `runs`."""
        return self.standings.planned

    @property
    def task(self) -> Task:
        """What the models predict, with the scores that judge them."""
        return self.manifest.judged

    @property
    def unit(self) -> str:
        """Unit of the target."""
        return self.manifest.unit


def read_results(
    config: Mapping[str, Any],
    records: Paths,
    data: Path | str,
    splits: Path | str,
    features: Paths,
    selections: Paths | None = None,
    stages: Paths = (),
    other: Paths = (),
) -> Results:
    """Reads the records of the finished runs and computes the standings.

    Args:
        config: The resolved configuration.
        records: `result.json` of the finished runs, and the last record of runs that a search has stopped.
        data: Manifest of the data set; the groups of its crystals and its failures are beside it.
        splits: Description of its folds.
        features: Manifests of the feature sets.
        selections: `selection.json` of each planned fold, in the order of the configuration. None selects among
            the finished runs, while selections are missing.
        stages: Records of the stages of searches.
        other: Tables of the benchmark that errors are compared with; none where there is no such benchmark.

    Raises:
        UserError: A record cannot be read, or a selection lacks a model.
    """
    decided = [Stage.read(path) for path in stages]
    planned, runs = PlannedRuns.of(with_stages(config, decided)), [Run.read(path) for path in records]
    chosen = chosen_trials([run.result for run in runs], planned.folds, selections)
    manifest = Manifest.read(data, check=[FAILURES, TARGETS])
    table = pd.read_parquet(Path(data).with_name(TARGETS), columns=["id", "group", "target"]).set_index("id")
    compared = OtherBenchmark.read(Path(other[0]).parent) if other else None
    if compared:
        compared.check_targets(table["target"])
    groups = dict(zip(table.index, table["group"], strict=True))
    standings = compute_standings(runs, chosen, planned, groups, config["resamples"], task=manifest.judged)
    sets = {Path(path): FeatureManifest.read(path, check=[FAILURES]) for path in features}
    return Results(
        config["name"],
        standings,
        runs,
        manifest,
        Splits.read(splits),
        _failures(Path(data), sets),
        {path.parent.name: record.changed for path, record in sets.items()},
        groups,
        decided,
        compared,
    )


def chosen_trials(results: Sequence[RunResult], folds: Sequence[int], selections: Paths | None) -> dict[int, Selection]:
    """The selection of each fold; without files, that among the finished runs."""
    if selections is None:
        scored = [result for result in results if result.test is not None]  # not what a search has stopped
        return {fold: select_trials(result for result in scored if result.key.fold == fold) for fold in folds}
    chosen = {fold: Selection.read(path) for fold, path in zip(folds, selections, strict=True)}
    check_selections(results, chosen)
    return chosen


def _failures(data: Path, features: Iterable[Path]) -> list[Failure]:
    """Failed crystals of the data set and its feature sets; one that fails in two feature sets counts once."""
    found = read_failures(data.with_name(FAILURES))
    seen: set[str] = set()
    for manifest in features:
        for failure in read_failures(manifest.with_name(FAILURES)):
            if failure.id not in seen:
                found.append(failure)
                seen.add(failure.id)
    return found
