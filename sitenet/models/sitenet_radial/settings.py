"""Hyperparameters of Site-Net with radial attention."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sitenet.models.base.settings import check_envelope, check_envelope_with
from sitenet.settings.descriptors import DescriptorName
from sitenet.settings.elements import PAPER_PROPERTIES, ElementalProperty
from sitenet.settings.features import FeatureSettings, check_descriptor
from sitenet.settings.section import Section, Width


class RadialSiteNetSettings(Section):
    """Hyperparameters of Site-Net with radial attention.

    Attributes:
        blocks: Number of residual blocks.
        heads: Number of attention heads; must divide `width`.
        width: Width of the site features.
        hidden_width: Width of the hidden feed-forward layer in each block.
        radial_functions: Number of Gaussian basis functions of the distance d.
        radial_length: Length (angstrom) in exp(-d / length), the variable in which the Gaussians are evenly spaced.
        filter_keys: Let the distance filter the attention keys, too; false filters the values alone.
        elemental_properties: Magpie elemental properties, standardised; a linear layer adds them to the embedding.
        cutoff: Attention cut-off: pairs farther apart (angstrom) are ignored. Null attends to all pairs.
        envelope: Let the weight of a pair fade to zero at the cut-off, so that predictions are continuous functions of
            the structure. Needs a `cutoff` that the sphere of `features.radius` contains.
        moments: Largest degree of the spherical harmonics by which a site sees directions; 0 sees distances alone.
            `features.moments` must be at least as large.
        moment_channels: Channels in which harmonics are summed over a site's pairs.
        moment_invariants: Products of such sums, for each degree.
        gate_channels: Channels of gated messages, which depend on both sites and their distance together; 0 for none.
        descriptor: Also read the features of each site that a pretrained network has learnt; needs the same
            `features.descriptor`.
        dropout: Dropout probability, applied to the output of the attention and of the feed-forward layer.
    """

    kind: Literal["sitenet_radial"] = "sitenet_radial"
    blocks: Annotated[int, Field(ge=1, le=32)] = 4
    heads: Annotated[int, Field(ge=1, le=64)] = 8
    width: Width = 128
    hidden_width: Width = 256
    radial_functions: Annotated[int, Field(ge=2, le=64)] = 32  # the table's knots could not resolve more
    radial_length: Annotated[float, Field(gt=0)] = 4.0
    filter_keys: bool = True
    elemental_properties: Annotated[tuple[ElementalProperty, ...], Field(min_length=1)] = PAPER_PROPERTIES
    cutoff: Annotated[float, Field(gt=0)] | None = None
    envelope: bool = False
    moments: Annotated[int, Field(ge=0, le=6)] = 0
    moment_channels: Width = 32
    moment_invariants: Width = 32
    gate_channels: Annotated[int, Field(ge=0, le=4096)] = 0
    descriptor: DescriptorName | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self

    @model_validator(mode="after")
    def _an_envelope_ends_at_the_cutoff(self) -> Self:
        check_envelope(self.envelope, self.cutoff)
        return self

    def check_with(self, sections: Mapping[str, Section]) -> None:
        """Raises ValueError where the features lack what the network reads; see `Section.check_with`."""
        check_descriptor(self.descriptor, sections)
        features = sections["features"]
        check_envelope_with(features, self.envelope, self.cutoff)
        assert isinstance(features, FeatureSettings)
        if self.moments > features.moments:
            raise ValueError(f"moments {self.moments} need as many in the features: features.moments: {self.moments}")
