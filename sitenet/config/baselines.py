"""Settings of baselines and published models, which put every network's error into proportion."""

from typing import Annotated, Literal

from pydantic import Field

from sitenet.config.base import Section, Share


class DummySettings(Section):
    """Predicts one statistic of the training targets for every crystal.

    Attributes:
        statistic: What is predicted.
    """

    kind: Literal["dummy"] = "dummy"
    statistic: Literal["mean", "median"] = "mean"


class RandomForestSettings(Section):
    """Random forest on Magpie composition features (Ward et al., npj Comput. Mater. 2, 16028 (2016)).

    Attributes:
        n_trees: Number of trees.
        max_features: Share of the features tried at each split.
        min_leaf: Smallest number of training crystals in a leaf.
    """

    kind: Literal["random_forest"] = "random_forest"
    n_trees: Annotated[int, Field(ge=1, le=10_000)] = 500
    max_features: Annotated[Share, Field(gt=0)] = 0.33
    min_leaf: Annotated[int, Field(ge=1)] = 1


class PublishedSettings(Section):
    """Predictions that others submitted to the Matbench leaderboard; nothing is trained.

    Attributes:
        submission: Folder in the `benchmarks/` of materialsproject/matbench, "matbench_v0.1_alignn" for example.
    """

    kind: Literal["published"] = "published"
    submission: Annotated[str, Field(pattern=r"^matbench_v0\.1_[\w.+-]+$")] = "matbench_v0.1_dummy"
