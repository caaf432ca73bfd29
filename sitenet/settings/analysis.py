"""Settings of the analysis of attention."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from sitenet.settings.section import Section

TrialId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
Index = Annotated[int, Field(ge=0)]
Distance = Annotated[float, Field(gt=0, le=100)]


class AnalysisSettings(Section):
    """What the networks attend to, and what range of attention they use. It reads trained networks and changes none.

    Attributes:
        trials: Ids of trials in the grid, all of them networks; null takes every network of the grid.
        folds: Folds whose runs are analysed; null takes all that the benchmark runs.
        max_crystals: A random subset of at most this many test crystals of each fold. Null takes all.
        cutoffs: Distances (angstrom). For each of them, pairs of sites beyond it are left out at prediction, to see
            how the error grows.
    """

    trials: tuple[TrialId, ...] | None = None
    folds: tuple[Index, ...] | None = None
    max_crystals: Annotated[int, Field(ge=1)] | None = 2000
    cutoffs: tuple[Distance, ...] = tuple(map(float, range(3, 16)))

    @field_validator("trials", "folds", "cutoffs")
    @classmethod
    def _not_empty_nor_repeated(cls, values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        if values is not None and (not values or len(set(values)) < len(values)):
            raise ValueError("at least one value is needed, and none may be repeated")
        return values
