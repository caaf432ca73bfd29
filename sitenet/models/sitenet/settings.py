"""Hyperparameters of Site-Net."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from sitenet.settings.descriptors import DescriptorName
from sitenet.settings.elements import PAPER_PROPERTIES, ElementalProperty
from sitenet.settings.features import check_descriptor
from sitenet.settings.section import Section, Width


class SiteNetSettings(Section):
    """Hyperparameters of Site-Net; the defaults are the paper's.

    Attributes:
        blocks: Number of attention blocks.
        heads: Number of attention heads.
        site_width_per_head: Width of the site features per attention head; their width is `heads` times this.
        pair_width_per_head: Width of the pair features per attention head; their width is `heads` times this.
        value_width: Width of the attention values, which all heads share.
        embedding_width: Width of the learnt element embedding.
        attention_hidden: Widths of the hidden layers that compute the attention logits.
        pooled_width: Width of the site features that are pooled.
        head_hidden: Widths of the hidden layers between pooling and output.
        activation: Activation function of the hidden layers.
        normalisation: Apply layer normalisation after every activation.
        element_input: How an element is represented: by a learnt embedding or a one-hot vector.
        elemental_properties: Magpie elemental properties that are concatenated to this representation.
        elemental_scaling: Use the properties as tabulated, like the paper, or standardised to mean 0 and standard
            deviation 1 over the elements. Raw densities, of thousands, drown the embedding and slow training down.
        descriptor: Also read the features of each site that a pretrained network has learnt; needs the same
            `features.descriptor`.
        pooling: How the site features of a crystal are pooled.
        cutoff: Attention cut-off: pairs farther apart (angstrom) are ignored. Null attends to all pairs.
        top_k: Attend only to this many sites with the largest logits, for each site and head. Null attends to all.
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
    descriptor: DescriptorName | None = None
    pooling: Literal["mean", "max"] = "mean"
    cutoff: Annotated[float, Field(gt=0)] | None = None
    top_k: Annotated[int, Field(ge=1)] | None = None

    def check_with(self, sections: Mapping[str, Section]) -> None:
        """Raises ValueError where the features lack what the network reads; see `Section.check_with`."""
        check_descriptor(self.descriptor, sections)
