"""One trial: everything that defines a model, how it sees crystals and how it is trained."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from sitenet.errors import UserError
from sitenet.models.registry import is_network, model_kinds
from sitenet.settings.features import FeatureSettings
from sitenet.settings.problems import validate
from sitenet.settings.section import Section
from sitenet.settings.training import TrainingSettings
from sitenet.tasks import REGRESSION, Task

_NO_DEFAULT = object()
NAME = "model.name"
SHARED = ("features.moments", "features.descriptor")  # settings of models have the same names
OTHERS = "training.other_targets"  # left out of the settings where it is empty
Settings = Mapping[str, Mapping[str, Any]]  # settings of a trial by section and name


def sections_of(kind: str) -> dict[str, type[Section]]:
    """The sections a trial of this model kind has; networks also have features and training."""
    model = {"model": model_kinds()[kind].settings}
    return model | ({"features": FeatureSettings, "training": TrainingSettings} if is_network(kind) else {})


def checked_sections(kind: str, values: Mapping[str, Mapping[str, Any]], where: str) -> dict[str, Section]:
    """The sections of a trial, each by itself and beside the others.

    Args:
        kind: Kind of the model.
        values: Values by section and name; others have their defaults.
        where: Key of the grid entry, for messages.

    Raises:
        UserError: A value is not valid, or sections contradict each other.
    """
    sections = {
        name: validate(section, values.get(name, {}), f"{where}.{name}") for name, section in sections_of(kind).items()
    }
    for name, section in sections.items():
        try:
            section.check_with(sections)
        except ValueError as problem:
            raise UserError(f"configuration key '{where}.{name}': {problem}") from None
    return sections


class Trial:
    """Settings of one trial and the id derived from them.

    The id is 8 hex digits of a SHA-256 over the sorted JSON of `changes`, the values that differ from the
    defaults. A new hyperparameter at its default therefore changes no id.
    """

    def __init__(self, sections: Mapping[str, Section]):
        self.sections = dict(sections)
        self.settings = _plain(self.sections)
        self.kind: str = self.settings["model"]["kind"]
        defaults = flatten(_plain({name: section() for name, section in sections_of(self.kind).items()}))
        # What the user calls a model changes nothing but how it is shown.
        self.changes = {"model.kind": self.kind} | {
            name: value
            for name, value in flatten(self.settings).items()
            if defaults.get(name, _NO_DEFAULT) != value and name != NAME
        }
        self.id = short_hash(self.changes)

    @classmethod
    def from_settings(cls, settings: Settings) -> "Trial":
        """The trial with these settings."""
        sections = sections_of(settings["model"]["kind"])
        return cls({name: section.model_validate(settings[name]) for name, section in sections.items()})

    @property
    def is_network(self) -> bool:
        """Whether the trial trains a network on point sets."""
        return is_network(self.kind)

    @property
    def unnamed_settings(self) -> dict[str, dict[str, Any]]:
        """The settings without what the user calls the model, on which no result depends."""
        return {
            section: {k: v for k, v in own.items() if f"{section}.{k}" != NAME}
            for section, own in self.settings.items()
        }

    def build(self, *arguments: Any) -> Any:
        """A new model; see `ModelKind.implementation` for the arguments that follow its settings."""
        return model_kinds()[self.kind].build(self.sections["model"], *arguments)

    def build_baseline(self, task: Task, seed: int, threads: int) -> Any:
        """A new baseline for this task."""
        kind = model_kinds()[self.kind]
        build = kind.build if task is REGRESSION else kind.build_classifier
        return build(self.sections["model"], seed, threads)

    @property
    def features(self) -> FeatureSettings:
        """Feature settings of a network trial."""
        section = self.sections["features"]
        assert isinstance(section, FeatureSettings)
        return section

    @property
    def training(self) -> TrainingSettings:
        """Training settings of a network trial."""
        section = self.sections["training"]
        assert isinstance(section, TrainingSettings)
        return section

    @cached_property
    def feature_id(self) -> str:
        """Folder name of the trial's feature set."""
        return feature_id(self.features)


def feature_id(features: FeatureSettings) -> str:
    """Folder name of a feature set: its size and a hash of the settings that are not defaults."""
    return f"{features.size}-{short_hash(features.model_dump(mode='json', exclude_defaults=True))}"


def flatten(settings: Settings) -> dict[str, Any]:
    """Settings with dotted names such as "model.blocks", like the columns of tables; mappings are resolved."""
    flat: dict[str, Any] = {}
    for section, values in settings.items():
        for name, value in values.items():
            if isinstance(value, Mapping):
                flat |= {f"{section}.{name}.{key}": own for key, own in value.items()}
            else:
                flat[f"{section}.{name}"] = value
    return flat


def settings_by_kind(trials: Mapping[str, Settings]) -> dict[str, dict[str, dict[str, Any]]]:
    """Trials of each model kind in their order, by id: settings with dotted names, the same for all of a kind."""
    kinds: dict[str, dict[str, dict[str, Any]]] = {}
    for id_, settings in trials.items():
        kinds.setdefault(settings["model"]["kind"], {})[id_] = flatten(settings)
    for own in kinds.values():
        if any(OTHERS in settings for settings in own.values()):
            for settings in own.values():
                settings.setdefault(OTHERS, [])
    return kinds


def varying_settings(trials: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Dotted names of the settings that vary between the trials of one kind, in their order."""
    names = dict.fromkeys(name for settings in trials.values() for name in settings)
    return [name for name in names if len({json.dumps(settings.get(name)) for settings in trials.values()}) > 1]


def family(settings: Settings) -> str:
    """What a trial is chosen among: its kind, or for a command its folder and what is typed there.

    Networks that read a pretrained descriptor are not chosen among those from scratch.
    """
    model = settings["model"]
    if model["kind"] == "external":
        return f"external {model['folder']}: {model['command']}"
    descriptor = model.get("descriptor")
    return f"{model['kind']} with {descriptor}" if descriptor else model["kind"]


def trial_names(trials: Mapping[str, Trial]) -> dict[str, str]:
    """Name of each trial by id: the model kind with what varies among its trials, such as "sitenet blocks=2"."""
    names = {}
    for kind, settings in settings_by_kind({id_: trial.settings for id_, trial in trials.items()}).items():
        for id_, values in settings.items():
            called = values.get(NAME)
            varying = varying_settings({k: other for k, other in settings.items() if other.get(NAME) == called})
            told = [name for name in varying if name in values and not _is_told_by_model(name, values)]
            own = [f"{short(name)}={_brief(name, values[name])}" for name in told]
            names[id_] = " ".join([kind, *([called] if called else []), *own])
    return names


def short(setting: str) -> str:
    """A setting's name without its section, unless a model has one of the same name."""
    return setting if setting in SHARED else setting.rpartition(".")[2]


def _is_told_by_model(name: str, values: Mapping[str, Any]) -> bool:
    """Whether the model needs the same setting of the features with the same value."""
    return name in SHARED and values.get(f"model.{name.rpartition('.')[2]}") == values[name]


def _brief(name: str, value: Any) -> Any:
    """The value; of an import path the last part."""
    return str(value).rpartition(".")[2] if name == "model.estimator" else value


def short_hash(values: Mapping[str, Any]) -> str:
    """8 hex digits of the SHA-256 of the sorted JSON."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]


def _plain(sections: Mapping[str, Section]) -> dict[str, dict[str, Any]]:
    return {name: section.model_dump(mode="json") for name, section in sections.items()}
