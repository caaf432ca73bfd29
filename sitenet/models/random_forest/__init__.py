"""Random forest on composition features."""

from sitenet.models.random_forest.settings import RandomForestSettings
from sitenet.models.registry import ModelKind

KIND = ModelKind(
    RandomForestSettings,
    "baseline",
    "sitenet.models.random_forest.regressor:build",
    "sitenet.models.random_forest.regressor:build_classifying",
)
