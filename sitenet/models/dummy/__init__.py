"""The mean or median of the training targets."""

from sitenet.models.dummy.settings import DummySettings
from sitenet.models.registry import ModelKind

KIND = ModelKind(DummySettings, "baseline", "sitenet.models.dummy.regressor:build")
