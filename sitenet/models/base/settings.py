"""What the hyperparameters of several networks share."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from sitenet.settings.descriptors import DescriptorName
from sitenet.settings.elements import PAPER_PROPERTIES, ElementalProperty
from sitenet.settings.features import FeatureSettings, check_descriptor
from sitenet.settings.section import Section, Width


def check_envelope(envelope: bool, cutoff: float | None) -> None:
    """Raises ValueError for an envelope without the cut-off (angstrom) at which it ends."""
    if envelope and cutoff is None:
        raise ValueError("envelope needs a cutoff, the distance at which it is zero")


def check_envelope_with(features: Section, envelope: bool, cutoff: float | None) -> None:
    """Raises ValueError where the features lack pairs within the cut-off (angstrom) of an envelope."""
    assert isinstance(features, FeatureSettings)
    if envelope and cutoff is not None and (features.radius is None or features.radius < cutoff):
        raise ValueError(f"envelope needs all pairs up to its cutoff: features.radius of at least {cutoff:g}")


class ConvolutionSettings(Section):
    """Hyperparameters that networks of convolutions share.

    Attributes:
        blocks: Number of convolutions.
        width: Width of the site features.
        hidden_width: Width of the hidden layer that makes the prediction.
        radial_functions: Number of Gaussian basis functions of the distance d.
        radial_length: Length (angstrom) in exp(-d / length), the variable in which the Gaussians are evenly spaced.
        elemental_properties: Magpie elemental properties, standardised; a linear layer adds them to the embedding.
        cutoff: Pairs farther apart (angstrom) are ignored. Null sees all pairs of the features.
        envelope: Let the weight of a pair fade to zero at the cut-off, so that predictions are continuous functions of
            the structure. Needs a `cutoff` that the sphere of `features.radius` contains.
        descriptor: Also read the features of each site that a pretrained network has learnt; needs the same
            `features.descriptor`.
    """

    kind: str
    blocks: Annotated[int, Field(ge=1, le=32)] = 3
    width: Width = 64
    hidden_width: Width = 128
    radial_functions: Annotated[int, Field(ge=2, le=64)] = 32  # the table's knots could not resolve more
    radial_length: Annotated[float, Field(gt=0)] = 4.0
    elemental_properties: Annotated[tuple[ElementalProperty, ...], Field(min_length=1)] = PAPER_PROPERTIES
    cutoff: Annotated[float, Field(gt=0)] | None = None
    envelope: bool = False
    descriptor: DescriptorName | None = None

    @model_validator(mode="after")
    def _an_envelope_ends_at_the_cutoff(self) -> Self:
        check_envelope(self.envelope, self.cutoff)
        return self

    def check_with(self, sections: Mapping[str, Section]) -> None:
        """Raises ValueError where the features lack what the network reads; see `Section.check_with`."""
        check_descriptor(self.descriptor, sections)
        check_envelope_with(sections["features"], self.envelope, self.cutoff)
