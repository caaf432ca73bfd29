"""One trial: everything that defines a model, how it sees crystals and how it is trained."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from sitenet.config.base import Section
from sitenet.config.baselines import DummySettings, PublishedSettings, RandomForestSettings
from sitenet.config.features import FeatureSettings
from sitenet.config.models import RadialSiteNetSettings, SiteNetSettings
from sitenet.config.training import TrainingSettings

NETWORKS: dict[str, type[Section]] = {"sitenet": SiteNetSettings, "sitenet_radial": RadialSiteNetSettings}
BASELINES: dict[str, type[Section]] = {"dummy": DummySettings, "random_forest": RandomForestSettings}
PUBLISHED: dict[str, type[Section]] = {"published": PublishedSettings}
KINDS = NETWORKS | BASELINES | PUBLISHED


def sections_of(kind: str) -> dict[str, type[Section]]:
    """The sections a trial of this model kind has; networks also have features and training."""
    if kind in NETWORKS:
        return {"model": NETWORKS[kind], "features": FeatureSettings, "training": TrainingSettings}
    return {"model": KINDS[kind]}


class Trial:
    """Settings of one trial and the id derived from them.

    The id is 8 hex digits of a SHA-256 over the sorted JSON of `changes`, the values that differ from the
    defaults. A new hyperparameter at its default therefore changes no id.
    """

    def __init__(self, sections: Mapping[str, Section]):
        self.sections = dict(sections)
        self.settings = dict(_flatten(self.sections))
        self.kind: str = self.settings["model.kind"]
        defaults = dict(_flatten({name: section() for name, section in sections_of(self.kind).items()}))
        self.changes = {"model.kind": self.kind} | {
            key: value for key, value in self.settings.items() if value != defaults[key]
        }
        self.id = short_hash(self.changes)

    @classmethod
    def from_nested(cls, values: Mapping[str, Mapping[str, Any]]) -> "Trial":
        """The trial whose `nested` settings these are."""
        sections = sections_of(values["model"]["kind"])
        return cls({name: section.model_validate(values[name]) for name, section in sections.items()})

    @property
    def is_network(self) -> bool:
        """Whether the trial trains a network on point sets."""
        return self.kind in NETWORKS

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
        """Folder name of the trial's feature set: readable size, then a hash of what is not default."""
        return f"{self.features.size}-{short_hash(self.features.model_dump(mode='json', exclude_defaults=True))}"

    @cached_property
    def nested(self) -> dict[str, dict[str, Any]]:
        """All settings by section, as plain values."""
        return {name: section.model_dump(mode="json") for name, section in self.sections.items()}


def short_hash(values: Mapping[str, Any]) -> str:
    """8 hex digits of the SHA-256 of the sorted JSON."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]


def _flatten(sections: Mapping[str, Section]) -> Iterator[tuple[str, Any]]:
    for name, section in sections.items():
        for key, value in section.model_dump(mode="json").items():
            yield f"{name}.{key}", value
