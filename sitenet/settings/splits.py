"""How the crystals of a data set are split into training, validation and test parts."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from sitenet.settings.section import Section


class _Splits(Section):
    """What all kinds of splits share.

    Attributes:
        seed: Chooses folds and validation parts.
        validation_share: Share of each training part that is set aside for validation.
        max_train: Random subset of each training part, validation included, for all models alike; subsets
            of one seed are nested. None takes all.
    """

    seed: Annotated[int, Field(ge=0)] = 0
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    max_train: Annotated[int, Field(ge=2)] | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The user's own files that are read."""
        return ()


class KFoldSplits(_Splits):
    """Random folds; the grouped kind keeps all crystals of one reduced formula in one part."""

    kind: Literal["kfold", "grouped_kfold"]
    n_folds: Annotated[int, Field(ge=2, le=100)] = 5


class HoldoutSplits(_Splits):
    """One random test part."""

    kind: Literal["holdout"]
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    n_folds: ClassVar[int] = 1


class OfficialSplits(_Splits):
    """The published folds of a Matbench task."""

    kind: Literal["official"]
    n_folds: ClassVar[int] = 5


class GivenSplits(_Splits):
    """Folds read from a CSV file.

    Attributes:
        path: File with the columns `id`, `fold` (0, 1, ...) and `part` (train, validation or test).
            Where a fold has no validation rows, `validation_share` of its training part is used.
        n_folds: Number of folds in the file.
    """

    kind: Literal["ids"]
    path: str
    n_folds: Annotated[int, Field(ge=1, le=100)] = 1

    @property
    def files(self) -> tuple[str, ...]:
        """The user's own files that are read."""
        return (self.path,)


SplitSettings = Annotated[KFoldSplits | HoldoutSplits | OfficialSplits | GivenSplits, Field(discriminator="kind")]
