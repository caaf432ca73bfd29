"""The continuous-filter convolutional network, SchNet."""

from sitenet.models.registry import ModelKind
from sitenet.models.schnet.settings import SchNetSettings

KIND = ModelKind(SchNetSettings, "network", "sitenet.models.schnet.network:SchNet")
