"""A command that trains and predicts, in an environment of its own."""

from sitenet.models.external.settings import ExternalSettings
from sitenet.models.registry import ModelKind

KIND = ModelKind(ExternalSettings, "external")
