"""Hyperparameters of CGCNN."""

from typing import Literal

from sitenet.models.base.settings import ConvolutionSettings


class CGCNNSettings(ConvolutionSettings):
    """Hyperparameters of CGCNN; sizes are by default those of its published code."""

    kind: Literal["cgcnn"] = "cgcnn"
