"""Finished runs and planned runs of a benchmark, and the rows of the leaderboard."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sitenet.config.trial import Settings, family, settings_by_kind, varying_settings
from sitenet.evaluation.selection import Selection
from sitenet.evaluation.statistics.metrics import METRICS_OF, compute_metrics
from sitenet.history import FILE as HISTORY
from sitenet.history import read_history
from sitenet.models.predictions.settings import MATBENCH
from sitenet.models.registry import is_selected, model_kinds
from sitenet.models.sklearn.settings import FEATURE_TABLES
from sitenet.records import Metrics, RunResult
from sitenet.settings.descriptors import DESCRIPTORS, DescriptorName
from sitenet.tasks import TASKS, Task

PREDICTIONS = "test_predictions.parquet"


@dataclass(frozen=True)
class Run:
    """A run's record and the folder with its other files."""

    result: RunResult
    folder: Path

    @classmethod
    def read(cls, record: Path | str) -> "Run":
        """Reads `result.json` or `run.json` of a run; its predictions and history must be as they were written."""
        result = RunResult.read(record)
        result.check(record, [name for name in (PREDICTIONS, HISTORY) if name in result.files])
        return cls(result, Path(record).parent)

    @property
    def task(self) -> Task:
        """What the model predicts."""
        return TASKS[self.result.task]

    @property
    def test(self) -> Metrics:
        """Metrics over the test crystals of a scored run."""
        assert self.result.test is not None
        return self.result.test

    @property
    def is_scored(self) -> bool:
        """Whether at least one labelled test crystal was scored."""
        return self.result.test is not None and self.result.test.n_scored > 0

    def predictions(self) -> pd.DataFrame:
        """(target, prediction) of all test crystals, indexed by id; an unknown target is NaN."""
        return pd.read_parquet(self.folder / PREDICTIONS).set_index("id")

    def scored_predictions(self) -> pd.DataFrame:
        """(target, prediction) of the labelled test crystals, indexed by id."""
        return self.predictions().dropna(subset="target")

    def metrics(self) -> dict[str, float]:
        """All metrics by key; they are computed again if one did not exist yet when the run was scored."""
        known = self.test.values
        if all(metric.key in known for metric in METRICS_OF[self.task.name]):
            return known
        return _metrics(self.scored_predictions(), self.task)

    def crystal_errors(self) -> pd.Series:
        """Error of each labelled test crystal by id: |prediction - target| in its unit, or its square of classes."""
        frame = self.scored_predictions()
        return self.task.crystal_errors(frame["target"], frame["prediction"])

    def history(self) -> pd.DataFrame:
        """Rows of `history.jsonl`, one per epoch."""
        return pd.DataFrame(read_history(self.folder))


def _metrics(predictions: pd.DataFrame, task: Task) -> dict[str, float]:
    return compute_metrics(predictions["target"].to_numpy(), predictions["prediction"].to_numpy(), task.name).values


def mean_predictions(runs: Sequence[Run]) -> pd.DataFrame:
    """(target, prediction) of all test crystals of one fold, indexed by id; predictions averaged over runs.

    The prediction is NaN for a crystal that is missing in a run.
    """
    frames = [run.predictions() for run in runs]
    mean = pd.concat([frame["prediction"] for frame in frames], axis=1).mean(axis=1, skipna=False)
    return pd.DataFrame({"target": frames[0]["target"], "prediction": mean})


@dataclass(frozen=True)
class PlannedRuns:
    """The planned runs of a benchmark: every trial of the grid on every fold, each with every seed.

    Attributes:
        trials: All settings of each trial by id.
        folds: Planned folds.
        seeds: Planned seeds.
        searched: Trials that searches have drawn on each fold, and that the grid does not have.
    """

    trials: Mapping[str, Settings]
    folds: Sequence[int]
    seeds: Sequence[int]
    searched: Mapping[int, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "PlannedRuns":
        """The planned runs of a resolved configuration."""
        return cls(config["trials"], config["folds"], config["seeds"], config.get("searched", {}))

    @property
    def grid(self) -> "PlannedRuns":
        """The planned runs without those of searches."""
        drawn = {trial for trials in self.searched.values() for trial in trials}
        own = {trial: settings for trial, settings in self.trials.items() if trial not in drawn}
        return PlannedRuns(own, self.folds, self.seeds)

    def n_candidates(self, trials: Iterable[str]) -> int:
        """How many of some trials are compared on a fold; on the one with most, if searches drew fewer on others."""
        wanted, static = set(trials), self.grid.trials.keys()
        drawn = [len(wanted.intersection(own)) for own in self.searched.values()]
        return len(wanted & static) + max(drawn, default=0)

    def trials_by_kind(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Trials of each model kind in the order planned, their settings by dotted names ("model.kind")."""
        return settings_by_kind(self.trials)


@dataclass(frozen=True)
class LeaderboardRow:
    """One row of the leaderboard: a model with its selected trial on each fold.

    Attributes:
        model: Name of the model in tables and figures.
        kind: Model kind.
        candidates: Number of trials from which the selection was made on a fold.
        chosen: Id of the selected trial of each fold.
        runs: Scored runs of the selected trial for each fold, one for each seed.
        search: All finished runs of the candidates.
        is_ensemble: Average the predictions over seeds before scoring, instead of the scores.
    """

    model: str
    kind: str
    candidates: int
    chosen: dict[int, str]
    runs: dict[int, list[Run]]
    search: list[Run]
    is_ensemble: bool = False

    def fold_scores(self, metric: str) -> dict[int, float]:
        """One metric of each fold: of an ensemble's averaged predictions, otherwise averaged over seeds."""
        return {
            fold: float(np.mean([scores[metric] for scores in self._metrics(runs)])) for fold, runs in self.runs.items()
        }

    def _metrics(self, runs: Sequence[Run]) -> list[dict[str, float]]:
        if not self.is_ensemble:
            return [run.metrics() for run in runs]
        return [_metrics(mean_predictions(runs), runs[0].task)]

    def fold_predictions(self, fold: int) -> list[pd.DataFrame]:
        """(target, prediction) of a fold's labelled test crystals by id, of an ensemble or of every seed."""
        runs = self.runs[fold]
        if self.is_ensemble:
            return [mean_predictions(runs).dropna(subset="target")]
        return [run.scored_predictions() for run in runs]

    def fold_errors(self, fold: int) -> pd.Series:
        """Errors of a fold's labelled test crystals, of an ensemble or averaged over seeds."""
        errors = self.runs[fold][0].task.crystal_errors
        own = [errors(frame["target"], frame["prediction"]) for frame in self.fold_predictions(fold)]
        return own[0] if self.is_ensemble else pd.concat(own, axis=1).mean(axis=1, skipna=False)

    @property
    def compared(self) -> str:
        """The number of candidates; "1 of 4" where only one has a finished run, on the fold with most."""
        finished = {(run.result.key.fold, run.result.key.trial) for run in self.search}
        most = max(Counter(fold for fold, _ in finished).values(), default=self.candidates)
        return f"{most} of {self.candidates}" if most < self.candidates else str(self.candidates)

    @property
    def is_refitted(self) -> bool:
        """Whether the model was fitted again with the validation crystals, as baselines are."""
        return model_kinds()[self.kind].role == "baseline"

    @property
    def is_trained_here(self) -> bool:
        """Whether the benchmark trained it; if not, its predictions were read from a file."""
        return model_kinds()[self.kind].role != "predictions"

    @property
    def descriptors(self) -> list[DescriptorName]:
        """The pretrained networks whose features it reads; none of a model from scratch."""
        read: set[str | None] = set()
        for model in (run.result.settings["model"] for run in self.all_runs):
            read |= {model.get("descriptor"), *FEATURE_TABLES.get(model.get("features", ""), ())}
        return [name for name in DESCRIPTORS if name in read]

    @property
    def all_runs(self) -> list[Run]:
        """The scored runs of all folds."""
        return [run for runs in self.runs.values() for run in runs]


def leaderboard_rows(
    runs: Sequence[Run], selections: Mapping[int, Selection], planned: PlannedRuns
) -> list[LeaderboardRow]:
    """Rows of the leaderboard: one per network kind and command, with its selected trials, and one per other trial.

    There is no selection among baselines, which are not tuned. What was trained with several seeds has a second row,
    the ensemble of these models.

    Args:
        runs: Finished runs; unplanned ones are ignored.
        selections: Selection of each fold.
        planned: The planned runs.
    """
    runs = [run for run in runs if run.result.key.fold in planned.folds and run.result.key.seed in planned.seeds]
    rows = []
    for kind, trials in planned.trials_by_kind().items():
        if not is_selected(kind):
            for trial, settings in trials.items():
                name = _baseline_name(settings, trials)
                rows.append(_row(name, kind, {trial}, dict.fromkeys(planned.folds, trial), runs, 1))
            continue
        families: dict[str, list[str]] = {}
        for trial in trials:
            families.setdefault(family(planned.trials[trial]), []).append(trial)
        names = {key: _command_name(trials[own[0]]) if kind == "external" else key for key, own in families.items()}
        for key, own in families.items():
            chosen = {k: s.trials[key].trial for k, s in selections.items() if k in planned.folds and key in s.trials}
            name = key if list(names.values()).count(names[key]) > 1 else names[key]
            rows += _with_ensemble(_row(name, kind, set(own), chosen, runs, planned.n_candidates(own)))
    return rows


def _command_name(settings: Mapping[str, Any]) -> str:
    """What the user calls a command, or the name of its folder: "external (modnet)"."""
    return f"external ({settings['model.name'] or Path(settings['model.folder']).name})"


def _with_ensemble(row: LeaderboardRow) -> list[LeaderboardRow]:
    sizes = sorted({len(runs) for runs in row.runs.values()})
    if not sizes or sizes[-1] == 1:
        return [row]
    counts = " or ".join(map(str, sizes))
    return [row, replace(row, model=f"{row.model}, ensemble of {counts} seeds", is_ensemble=True)]


def _row(
    name: str, kind: str, candidates: set[str], chosen: dict[int, str], runs: Sequence[Run], n_candidates: int
) -> LeaderboardRow:
    search = [run for run in runs if run.result.key.trial in candidates]
    scored: dict[int, list[Run]] = {}
    for run in search:
        key = run.result.key
        if run.is_scored and chosen.get(key.fold) == key.trial:
            scored.setdefault(key.fold, []).append(run)
    return LeaderboardRow(name, kind, n_candidates, chosen, dict(sorted(scored.items())), search)


def _baseline_name(settings: Mapping[str, Any], trials: Mapping[str, Mapping[str, Any]]) -> str:
    """The kind with its text settings and the settings that vary, for example "dummy (median)".

    Where the user has named the model, the name stands for all that its trials have in common.
    """
    own = {name: value for name, value in settings.items() if name not in ("model.kind", "model.name")}
    named = settings.get("model.name")
    varying = varying_settings({id_: other for id_, other in trials.items() if other.get("model.name") == named})
    details = [named] if named else []
    for name, value in own.items():
        if isinstance(value, str) and (not named or name in varying):
            if name == "model.path":
                value = _short_path(value, [other[name] for other in trials.values()])
            details.append(value.rpartition(".")[2] if name == "model.estimator" else value)
    details += [f"{n.split('.')[-1]}={own[n]}" for n in varying if n in own and not isinstance(own[n], str)]
    return f"{settings['model.kind']} ({', '.join(details)})" if details else settings["model.kind"]


def _short_path(path: str, every: Sequence[str]) -> str:
    """The end of a path that tells it from the others; Matbench's files have one name, and folders that say more."""
    parts, others = Path(path).parts, [Path(other).parts for other in every if other != path]
    least = 2 if path.endswith(MATBENCH) else 1
    ends = (parts[-n:] for n in range(least, len(parts)))
    return str(Path(*next((end for end in ends if all(other[-len(end) :] != end for other in others)), parts)))
