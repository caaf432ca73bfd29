"""What the hyperparameters of several networks share."""

from sitenet.settings.features import FeatureSettings
from sitenet.settings.section import Section


def check_envelope(envelope: bool, cutoff: float | None) -> None:
    """Raises ValueError for an envelope without the cut-off (angstrom) at which it ends."""
    if envelope and cutoff is None:
        raise ValueError("envelope needs a cutoff, the distance at which it is zero")


def check_envelope_with(features: Section, envelope: bool, cutoff: float | None) -> None:
    """Raises ValueError where the features lack pairs within the cut-off (angstrom) of an envelope."""
    assert isinstance(features, FeatureSettings)
    if envelope and cutoff is not None and (features.radius is None or features.radius < cutoff):
        raise ValueError(f"envelope needs all pairs up to its cutoff: features.radius of at least {cutoff:g}")
