"""The crystal graph convolutional network, CGCNN."""

from sitenet.models.cgcnn.settings import CGCNNSettings
from sitenet.models.registry import ModelKind

KIND = ModelKind(CGCNNSettings, "network", "sitenet.models.cgcnn.network:CGCNN")
