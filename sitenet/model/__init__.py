"""One file a network, chosen by `model.kind`."""

from collections.abc import Callable
from typing import Any

from sitenet.config.trial import Trial
from sitenet.model.network import Network
from sitenet.model.radial import RadialSiteNet
from sitenet.model.sitenet import SiteNet

# Each takes the trial's section `model` and `non_negative`.
NETWORK_CLASSES: dict[str, Callable[[Any, bool], Network]] = {
    "sitenet": SiteNet,
    "sitenet_radial": RadialSiteNet,
}


def build_model(trial: Trial, non_negative: bool) -> Network:
    """The network of a trial, freshly initialised from torch's random state.

    Args:
        trial: Its kind names the network, its section `model` has the hyperparameters.
        non_negative: The target cannot be negative, so predictions are clamped at 0.
    """
    return NETWORK_CLASSES[trial.kind](trial.sections["model"], non_negative)
