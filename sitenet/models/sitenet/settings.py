"""Hyperparameters of Site-Net."""

from typing import Annotated, Literal

from pydantic import Field

from sitenet.settings.elements import PAPER_PROPERTIES, ElementalProperty
from sitenet.settings.section import Section, Width


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
