"""The mean or median of the training targets."""

from sitenet.models.dummy.settings import DummySettings
from sitenet.models.registry import ModelKind

# Of targets that are 0 or 1, the mean is the probability of class 1 and the median the more frequent class.
KIND = ModelKind(
    DummySettings, "baseline", "sitenet.models.dummy.regressor:build", "sitenet.models.dummy.regressor:build"
)
