"""Settings of the search for hyperparameters."""

from typing import Annotated, Literal

from pydantic import Field

from sitenet.settings.section import Section


class SearchSettings(Section):
    """How trials are drawn from the distributions in the grid. Every entry with a distribution is a search of its own.

    Attributes:
        trials: Number of trials of each search, on each fold.
        sampler: How trials are drawn: at random, or by a tree-structured Parzen estimator (`tpe`), which learns from
            the validation errors of earlier trials.
        batch: Number of trials that `tpe` draws at once, and that can train side by side. It draws at random until ten
            trials are scored.
        halving: Stop most trials early: of all trials one in so many is trained so many times as long, and of these
            again one in so many, up to `max_epochs`. Null trains every trial to its end.
        min_epochs: No trial is stopped before so many epochs; unused without `halving`.
        seed: Another seed draws other trials.
    """

    trials: Annotated[int, Field(ge=2, le=10_000)]
    sampler: Literal["random", "tpe"] = "random"
    batch: Annotated[int, Field(ge=1, le=1000)] = 8
    halving: Annotated[int, Field(ge=2, le=100)] | None = None
    min_epochs: Annotated[int, Field(ge=1)] = 1
    seed: Annotated[int, Field(ge=0)] = 0
