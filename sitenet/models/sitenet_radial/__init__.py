"""Site-Net with radial attention."""

from sitenet.models.registry import ModelKind
from sitenet.models.sitenet_radial.settings import RadialSiteNetSettings

KIND = ModelKind(RadialSiteNetSettings, "network", "sitenet.models.sitenet_radial.network:RadialSiteNet")
