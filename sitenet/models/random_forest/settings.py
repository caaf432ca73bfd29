"""Hyperparameters of the random forest."""

from typing import Annotated, Literal

from pydantic import Field

from sitenet.settings.section import Section, Share


class RandomForestSettings(Section):
    """Random forest on Magpie composition features (Ward et al., npj Comput. Mater. 2, 16028 (2016)).

    Attributes:
        n_trees: Number of trees.
        max_features: Fraction of the features considered at each split.
        min_leaf: Minimum number of training crystals in a leaf.
    """

    kind: Literal["random_forest"] = "random_forest"
    n_trees: Annotated[int, Field(ge=1, le=10_000)] = 500
    max_features: Annotated[Share, Field(gt=0)] = 0.33
    min_leaf: Annotated[int, Field(ge=1)] = 1
