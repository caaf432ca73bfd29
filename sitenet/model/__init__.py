"""One file a network, chosen by `model.kind`."""

from sitenet.config.models import SiteNetSettings
from sitenet.model.sitenet import SiteNet


def build_model(settings: SiteNetSettings, non_negative: bool = False) -> SiteNet:
    """The network that `settings.kind` names, freshly initialised from torch's random state.

    Args:
        settings: Hyperparameters of the network.
        non_negative: The target cannot be negative, so predictions are clamped at 0.
    """
    return SiteNet(settings, non_negative)
