"""Site-Net: attention between all sites of a supercell."""

from sitenet.models.registry import ModelKind
from sitenet.models.sitenet.settings import SiteNetSettings

KIND = ModelKind(SiteNetSettings, "network", "sitenet.models.sitenet.network:SiteNet")
