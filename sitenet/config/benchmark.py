"""The configuration of a whole benchmark, as the Snakefile reads it."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, field_validator

from sitenet.config.grid import expand_grid, search_spaces
from sitenet.config.pretrained import pretrained_names, starting_network
from sitenet.config.search import Search, searches
from sitenet.config.targets import check_classes, check_other_targets
from sitenet.config.trial import Trial, family, feature_id, short_hash
from sitenet.data.sources import DatasetSettings
from sitenet.errors import UserError
from sitenet.models.predictions.settings import MATBENCH
from sitenet.models.registry import kinds_of_role
from sitenet.models.sklearn.settings import FEATURE_TABLES
from sitenet.settings.analysis import AnalysisSettings
from sitenet.settings.descriptors import DESCRIPTORS
from sitenet.settings.features import FeatureSettings, pooled_features
from sitenet.settings.problems import unknown, validate
from sitenet.settings.search import SearchSettings
from sitenet.settings.section import Section
from sitenet.settings.splits import SplitSettings
from sitenet.settings.tracking import TrackingSettings
from sitenet.tasks import TASKS, Task

Index = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what all generators of random numbers take
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class BenchmarkSettings(Section):
    """Top level of config.yaml; each key is explained there."""

    name: Name | None = None
    dataset: DatasetSettings
    splits: SplitSettings
    folds: tuple[Index, ...] | None = None
    seeds: tuple[Seed, ...] = (0,)
    shards: Annotated[int, Field(ge=1, le=1000)] = 4
    resamples: Annotated[int, Field(ge=100, le=1_000_000)] = 10_000
    compare_to: Name | None = None
    tracking: TrackingSettings = TrackingSettings()
    analysis: AnalysisSettings | None = None
    search: SearchSettings | None = None
    grid: list

    @field_validator("folds", "seeds")
    @classmethod
    def _not_empty_nor_repeated(cls, values: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if values is not None and (not values or len(set(values)) < len(values)):
            raise ValueError("at least one value is needed, and none may be repeated")
        return values


class Benchmark:
    """A validated benchmark: its settings, the trials of its grid, its searches by id, and what is analysed."""

    def __init__(self, config: Mapping[str, Any]):
        """Validates the configuration.

        Raises:
            UserError: One line for each problem: the key, the value and what is valid.
        """
        values = {key: _from_command_line(value) for key, value in config.items()}
        self.settings = validate(BenchmarkSettings, values, "")
        self.trials: dict[str, Trial] = expand_grid(self.settings.grid)
        self.searches: dict[str, Search] = searches(search_spaces(self.settings.grid), self.settings.search)
        self._check_splits()
        self._check_names()
        self.folds = self._planned_folds()
        check_classes(self)
        check_other_targets(self)
        self.analysed = self._analysed_runs()

    def _analysed_runs(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Trials and folds whose attention is analysed; none without the section `analysis`."""
        settings = self.settings.analysis
        if settings is None:
            return (), ()
        for trial in settings.trials or ():
            if trial not in self.networks:
                raise UserError(unknown("configuration key 'analysis.trials': network", trial, self.networks))
        for fold in settings.folds or ():
            if fold not in self.folds:
                raise UserError(unknown("configuration key 'analysis.folds': fold", fold, self.folds))
        trials = settings.trials or tuple(self.networks)
        return trials, (settings.folds or self.folds) if trials else ()

    def _check_splits(self) -> None:
        dataset, kind = self.settings.dataset, self.settings.splits.kind
        if self.settings.compare_to == self.name:
            raise UserError(f"configuration key 'compare_to' has the value '{self.name}': it is this benchmark")
        if kind == "official" and not dataset.n_official_folds:
            raise UserError(
                f"configuration key 'splits.kind' has the value 'official', but '{dataset.name}' of source "
                f"'{dataset.source}' has no official folds (valid: kfold, grouped_kfold, "
                "chemical_system, element, cluster, holdout, ids)"
            )
        official = [trial for trial in self.predictions.values() if _is_of_matbench(trial)]
        if official and (kind != "official" or dataset.source != "matbench"):
            model = official[0].settings["model"]
            source = model.get("submission") or model["path"]
            key, value, valid = "splits.kind", str(kind), "official"
            if kind == "official":
                key, value, valid = "dataset.source", dataset.source, "matbench"
            raise UserError(
                f"configuration key '{key}' has the value '{value}', but the grid has predictions of a Matbench "
                f"submission, {source}: they are for the official folds (valid: {valid})"
            )

    def _check_names(self) -> None:
        """Trials of one command have one row in the leaderboard, and so one name."""
        first: dict[str, str] = {}
        for trial in self.external.values():
            model = trial.settings["model"]
            name = first.setdefault(family(trial.settings), model["name"])
            if model["name"] != name:
                raise UserError(
                    f"configuration key 'model.name' has the values {name!r} and {model['name']!r} for trials of one "
                    f"command, {model['command']!r} in {model['folder']}: validation chooses among them, and the "
                    "chosen one has the row, so they need one name; a row of its own needs a command of its own"
                )

    def _planned_folds(self) -> tuple[int, ...]:
        folds = self.settings.folds if self.settings.folds is not None else self.available_folds
        for fold in folds:
            if fold not in self.available_folds:
                last = self.available_folds[-1]
                raise UserError(f"configuration key 'folds' has the value {fold}: the splits have folds 0 to {last}")
        return folds

    def check_files(self) -> None:
        """Checks that the user's own files are there, from the folder where the workflow works.

        Raises:
            UserError: A file or folder does not exist; the message names its key.
        """
        for section, key in (("dataset", "path"), ("dataset", "targets"), ("splits", "path")):
            path = getattr(self.settings, section).model_dump().get(key)
            if path is not None and not Path(path).exists():
                raise UserError(
                    f"configuration key '{section}.{key}' has the value '{path}': there is no such file or folder"
                    + ("" if Path(path).is_absolute() else f" in {Path.cwd()}")
                )

    def check_model_files(self, trial: Trial) -> None:
        """Checks that the file or folder that a model is read from is there.

        Raises:
            UserError: It does not exist.
        """
        for key, is_there in (("path", Path.is_file), ("folder", Path.is_dir)):
            path = trial.settings["model"].get(key)
            if path is not None and not is_there(Path(path)):
                what = "file" if key == "path" else "folder"
                where = "" if Path(path).is_absolute() else f" in {Path.cwd()}"
                raise UserError(
                    f"configuration key 'model.{key}' of the kind {trial.kind} has the value '{path}': there is no "
                    f"such {what}{where}"
                )

    def check_starts(self, record: str) -> None:
        """Checks that the networks are there from which trainings start, unless those are done.

        Args:
            record: Pattern of the path of a run's record.

        Raises:
            UserError: There is no such file or model.
        """
        wanted = {name: list(self.settings.seeds) for search in self.searches.values() for name in search.space.starts}
        for id_, trial in self.networks.items():
            for seed in self.settings.seeds if trial.training.start_from else ():
                runs = (record.format(trial=id_, fold=fold, seed=seed) for fold in self.folds)
                if not all(Path(run).exists() for run in runs):
                    wanted.setdefault(str(trial.training.start_from), []).append(seed)
        for name, seeds in wanted.items():
            if not all(starting_network(name, seed).is_file() for seed in seeds):
                where = "" if Path(name).is_absolute() else f" in {Path.cwd()}"
                raise UserError(
                    f"configuration key 'training.start_from' has the value '{name}': there is no such file{where}, "
                    f"and the models of the package are {', '.join(pretrained_names())}"
                )

    @property
    def name(self) -> str:
        """Name of the benchmark and of its folders; the name of the data set unless the configuration has one."""
        return self.settings.name or self.settings.dataset.name

    @property
    def task(self) -> Task:
        """What the models predict."""
        return TASKS[self.settings.dataset.task_name]

    @property
    def available_folds(self) -> tuple[int, ...]:
        """Numbers of all folds of the splits, planned or not."""
        splits, dataset = self.settings.splits, self.settings.dataset
        return tuple(range(dataset.n_official_folds if splits.kind == "official" else splits.n_folds))

    def training_values(self, key: str) -> list[Any]:
        """All values of a setting of `training`, of the grid and of searches."""
        own = [getattr(trial.training, key) for trial in self.networks.values()]
        return own + [v for search in self.searches.values() for v in search.space.values_of(f"training.{key}")]

    @cached_property
    def networks(self) -> dict[str, Trial]:
        """Trials that train a network, by id."""
        return self._of_role("network")

    @cached_property
    def predictions(self) -> dict[str, Trial]:
        """Trials whose predictions were made elsewhere, by id."""
        return self._of_role("predictions")

    @cached_property
    def external(self) -> dict[str, Trial]:
        """Trials that run a command of the user's, by id."""
        return self._of_role("external")

    @cached_property
    def baselines(self) -> dict[str, Trial]:
        """Trials that fit a baseline, by id."""
        return self._of_role("baseline")

    def _of_role(self, role: str) -> dict[str, Trial]:
        kinds = kinds_of_role(role)
        return {id_: trial for id_, trial in self.trials.items() if trial.kind in kinds}

    @cached_property
    def feature_sets(self) -> dict[str, FeatureSettings]:
        """The feature settings that the grid needs and that its searches may choose, by folder name."""
        searched = [features for search in self.searches.values() for features in search.space.feature_sets]
        return {feature_id(f): f for f in [*(trial.features for trial in self.networks.values()), *searched]}

    @cached_property
    def descriptor_sets(self) -> dict[str, FeatureSettings]:
        """Each descriptor and primitive cell that is needed, by folder name."""
        chosen = {trial.settings["model"].get("features", "composition") for trial in self.baselines.values()}
        tables = {table for features in chosen for table in FEATURE_TABLES[features]}
        pooled = [pooled_features(name) for name in DESCRIPTORS if name in tables]
        described = [f for f in [*self.feature_sets.values(), *pooled] if f.descriptor_set]
        return {str(features.descriptor_set): features.described for features in described}

    @property
    def compares_trials(self) -> bool:
        """Whether a kind of network has several trials; they are then compared with the first one."""
        kinds = [trial.kind for trial in self.networks.values()]
        return len(set(kinds)) < len(kinds)

    @property
    def scans_training_size(self) -> bool:
        """Whether the networks' trials differ in the number of training crystals."""
        return len({trial.training.max_crystals for trial in self.networks.values()}) > 1

    def resolved(self) -> dict[str, Any]:
        """The configuration with every default written out; without tracking, which changes no result.

        The trials are those of the grid; a search adds its own when they are drawn.
        """
        absent = {name for name in ("analysis", "compare_to", "search") if getattr(self.settings, name) is None}
        return {
            **self.settings.model_dump(mode="json", exclude={"tracking"} | absent),
            "name": self.name,
            "folds": list(self.folds),
            "trials": {id_: trial.settings for id_, trial in self.trials.items()},
        }

    @property
    def digest(self) -> str:
        """Short checksum of the resolved configuration, which results made from all runs depend on."""
        return short_hash(self.resolved())


def _is_of_matbench(trial: Trial) -> bool:
    """Whether predictions are those of a submission to Matbench's leaderboard."""
    return trial.kind == "published" or str(trial.settings["model"].get("path")).endswith(MATBENCH)


def _from_command_line(value: Any) -> Any:
    """Parses lists, mappings and null, which `--config key=[...]` passes as text."""
    if isinstance(value, str) and (value[:1] in "[{" or value == "null"):
        try:
            return yaml.safe_load(value)
        except yaml.YAMLError:
            return value
    return value
