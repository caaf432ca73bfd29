"""Predictions that others published."""

from sitenet.models.published.settings import PublishedSettings
from sitenet.models.registry import ModelKind

KIND = ModelKind(PublishedSettings, "predictions")
