"""Predictions of a model that was trained elsewhere, from a file."""

from sitenet.models.predictions.settings import PredictionsSettings
from sitenet.models.registry import ModelKind

KIND = ModelKind(PredictionsSettings, "predictions")
