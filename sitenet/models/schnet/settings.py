"""Hyperparameters of SchNet."""

from typing import Literal

from sitenet.models.base.settings import ConvolutionSettings
from sitenet.settings.section import Width


class SchNetSettings(ConvolutionSettings):
    """Hyperparameters of SchNet; sizes are by default the published ones."""

    kind: Literal["schnet"] = "schnet"
    hidden_width: Width = 32
