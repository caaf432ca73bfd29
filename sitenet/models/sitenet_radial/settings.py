"""Hyperparameters of Site-Net with radial attention."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sitenet.settings.elements import PAPER_PROPERTIES, ElementalProperty
from sitenet.settings.section import Section, Width


class RadialSiteNetSettings(Section):
    """Hyperparameters of Site-Net with radial attention.

    Attributes:
        blocks: Residual blocks.
        heads: Attention heads; divides `width`.
        width: Width of a site's features.
        hidden_width: Width of the hidden layer on sites in each block.
        radial_functions: Gaussians of which the functions of distance are made.
        radial_length: Length (angstrom) over which their variable exp(-d / length) falls.
        filter_keys: Functions of distance filter the keys too, not the values alone.
        elemental_properties: Magpie properties that describe an element beside its embedding.
        cutoff: Pairs farther apart (angstrom) get no attention; None attends to all.
        dropout: Share of what each branch of a block adds to a site that is left out in training.
    """

    kind: Literal["sitenet_radial"] = "sitenet_radial"
    blocks: Annotated[int, Field(ge=1, le=32)] = 4
    heads: Annotated[int, Field(ge=1, le=64)] = 8
    width: Width = 128
    hidden_width: Width = 256
    radial_functions: Annotated[int, Field(ge=2, le=64)] = 32  # more would be too narrow for the table's knots
    radial_length: Annotated[float, Field(gt=0)] = 4.0
    filter_keys: bool = True
    elemental_properties: Annotated[tuple[ElementalProperty, ...], Field(min_length=1)] = PAPER_PROPERTIES
    cutoff: Annotated[float, Field(gt=0)] | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self
