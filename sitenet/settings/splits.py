"""How the crystals of a data set are split into training, validation and test parts."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from sitenet.settings.elements import Symbol
from sitenet.settings.section import InputPath, Section

# Kinds that hold out more than formulas: they read which elements are in a crystal.
OUT_OF_DISTRIBUTION = ("element", "chemical_system", "cluster")


class _Splits(Section):
    """Settings of all kinds of splits.

    Attributes:
        seed: Random seed of the folds and of the validation parts.
        validation_share: Fraction of each training part that is held out for validation.
        max_train: Use a random subset of at most this many crystals of each training part, validation included unless
            the folds bring a validation part. It is the same for all models, and subsets of one seed are nested. Null
            uses all.
    """

    seed: Annotated[int, Field(ge=0)] = 0
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    max_train: Annotated[int, Field(ge=2)] | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The user's own files that the splits are read from."""
        return ()


class KFoldSplits(_Splits):
    """Random folds; the other kinds keep crystals of one reduced formula, or of the same elements, in one part."""

    kind: Literal["kfold", "grouped_kfold", "chemical_system"]
    n_folds: Annotated[int, Field(ge=2, le=100)] = 5


class HoldoutSplits(_Splits):
    """One random test part."""

    kind: Literal["holdout"]
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    n_folds: ClassVar[int] = 1


class ElementSplits(_Splits):
    """Each fold tests all crystals with an element that its training lacks.

    Attributes:
        elements: The elements that each fold holds out, such as `[[O], [F, Cl]]`. When empty, `n_folds` elements are
            drawn from those in 5 to 25 % of the crystals, one for each fold.
        n_folds: Number of folds; leave it out where `elements` lists them.
    """

    kind: Literal["element"]
    elements: tuple[tuple[Symbol, ...], ...] = ()
    n_folds: Annotated[int, Field(ge=1, le=100)] = 5

    @model_validator(mode="before")
    @classmethod
    def _counted(cls, values: Any) -> Any:
        """Takes the number of folds from the list of elements."""
        if isinstance(values, Mapping) and isinstance(listed := values.get("elements"), list | tuple) and listed:
            return {"n_folds": len(listed), **values}
        return values

    @field_validator("elements")
    @classmethod
    def _named_once(cls, elements: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        if any(not fold or len(set(fold)) < len(fold) for fold in elements):
            raise ValueError("each fold needs at least one element, and none twice")
        if len({frozenset(fold) for fold in elements}) < len(elements):
            raise ValueError("two folds hold out the same elements")
        return elements

    @field_validator("n_folds")
    @classmethod
    def _as_listed(cls, n_folds: int, info: ValidationInfo) -> int:
        listed = len(info.data.get("elements", ()))
        if listed not in (0, n_folds):
            raise ValueError(f"'elements' lists {listed} folds; leave n_folds out")
        return n_folds


class ClusterSplits(_Splits):
    """Each fold tests one cluster of similar crystals, found by k-means; the largest cluster is fold 0.

    Attributes:
        seed: Random seed of the clusters and of the validation parts.
        n_folds: Number of clusters, each of which is the test part of one fold.
        features: What is similar: the composition, by Magpie features, or the structure, by density, volume, symmetry
            and distances.
    """

    kind: Literal["cluster"]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    n_folds: Annotated[int, Field(ge=2, le=100)] = 5
    features: Literal["composition", "structure"] = "composition"


class OfficialSplits(_Splits):
    """The published folds of a data set that has some: Matbench's tasks and those of JARVIS.

    `validation_share` is for folds without a validation part, such as Matbench's.
    """

    kind: Literal["official"]


class GivenSplits(_Splits):
    """Folds read from a CSV file.

    Attributes:
        path: CSV file with the columns `id`, `fold` (0, 1, ...) and `part` (train, validation or test).
            In a fold without validation rows, `validation_share` of the training part is held out.
        n_folds: Number of folds in the file.
    """

    kind: Literal["ids"]
    path: InputPath
    n_folds: Annotated[int, Field(ge=1, le=100)] = 1

    @property
    def files(self) -> tuple[str, ...]:
        """The user's own files that the splits are read from."""
        return (self.path,)


SplitSettings = Annotated[
    KFoldSplits | HoldoutSplits | ElementSplits | ClusterSplits | OfficialSplits | GivenSplits,
    Field(discriminator="kind"),
]
