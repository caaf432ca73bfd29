"""Hyperparameters of every model kind; one closed section each."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sitenet.config.base import Section, Width

# The columns of sitenet/features/elements.csv (a test compares them).
ElementalProperty = Literal[
    "AllenElectronegativity",
    "AtomicRadius",
    "AtomicVolume",
    "AtomicWeight",
    "BoilingT",
    "BulkModulus",
    "Column",
    "CovalentRadius",
    "Density",
    "DipolePolarizability",
    "ElectronAffinity",
    "Electronegativity",
    "FirstIonizationEnergy",
    "FusionEnthalpy",
    "GSbandgap",
    "GSenergy_pa",
    "GSestBCClatcnt",
    "GSestFCClatcnt",
    "GSmagmom",
    "GSvolume_pa",
    "HHIp",
    "HHIr",
    "HeatCapacityMass",
    "HeatCapacityMolar",
    "HeatFusion",
    "HeatVaporization",
    "ICSDVolume",
    "IsAlkali",
    "IsDBlock",
    "IsFBlock",
    "IsMetal",
    "IsMetalloid",
    "IsNonmetal",
    "LogThermalConductivity",
    "MeltingT",
    "MendeleevNumber",
    "MiracleRadius",
    "MolarVolume",
    "NUnfilled",
    "NValence",
    "NdUnfilled",
    "NdValence",
    "NfUnfilled",
    "NfValence",
    "NpUnfilled",
    "NpValence",
    "NsUnfilled",
    "NsValence",
    "Number",
    "Polarizability",
    "Row",
    "SecondIonizationEnergy",
    "ShearModulus",
    "SpaceGroupNumber",
    "ThermalConductivity",
    "VdWRadius",
    "ZungerPP-r_d",
    "ZungerPP-r_p",
    "ZungerPP-r_pi",
    "ZungerPP-r_s",
    "ZungerPP-r_sigma",
    "n_ws^third",
    "phi",
]
PAPER_PROPERTIES: tuple[ElementalProperty, ...] = (
    "Number",
    "AtomicWeight",
    "Row",
    "Column",
    "FirstIonizationEnergy",
    "Electronegativity",
    "AtomicRadius",
    "Density",
)


class SiteNetSettings(Section):
    """Hyperparameters of Site-Net; the defaults are the paper's.

    Attributes:
        blocks: Attention blocks.
        heads: Attention heads.
        site_width_per_head: Width of a site's features, for each head.
        pair_width_per_head: Width of a pair's features, for each head.
        value_width: Width of the values that attention sums.
        embedding_width: Width of the learnt embedding of an element.
        attention_hidden: Widths of the hidden layers behind the attention logits.
        pooled_width: Width of a site's features when sites are pooled.
        head_hidden: Widths of the hidden layers between pooling and output.
        activation: Activation of every hidden layer.
        normalisation: Layer normalisation after every activation.
        element_input: An element's input: a learnt embedding or its one-hot vector.
        elemental_properties: Magpie properties that describe an element beside its embedding.
        elemental_scaling: Feed them as tabulated, as the paper does, or with mean 0 and standard deviation 1 over
            the elements. Raw densities of thousands drown the embedding, and training is much slower.
        pooling: How the sites of a crystal are joined.
        cutoff: Pairs farther apart (angstrom) get no attention; None attends to all.
        top_k: Only this many sites with the largest logits get attention, by site and head; None takes all.
    """

    kind: Literal["sitenet"] = "sitenet"
    blocks: Annotated[int, Field(ge=1, le=16)] = 2
    heads: Annotated[int, Field(ge=1, le=64)] = 3
    site_width_per_head: Width = 30
    pair_width_per_head: Width = 16
    value_width: Width = 30
    embedding_width: Width = 92
    attention_hidden: Annotated[tuple[Width, ...], Field(min_length=1)] = (225,)
    pooled_width: Width = 94
    head_hidden: tuple[Width, ...] = (200, 200, 200)
    activation: Literal["mish", "relu", "silu"] = "mish"
    normalisation: bool = True
    element_input: Literal["learnt", "one_hot"] = "learnt"
    elemental_properties: tuple[ElementalProperty, ...] = PAPER_PROPERTIES
    elemental_scaling: Literal["raw", "standardised"] = "raw"
    pooling: Literal["mean", "max"] = "mean"
    cutoff: Annotated[float, Field(gt=0)] | None = None
    top_k: Annotated[int, Field(ge=1)] | None = None


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
