"""How the crystals of a data set are split into training, validation and test parts."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from sitenet.settings.section import InputPath, Section


class _Splits(Section):
    """Settings of all kinds of splits.

    Attributes:
        seed: Random seed of the folds and of the validation parts.
        validation_share: Fraction of each training part that is held out for validation.
        max_train: Use a random subset of at most this many crystals of each training part, validation included.
            It is the same for all models, and subsets of one seed are nested. Null uses all.
    """

    seed: Annotated[int, Field(ge=0)] = 0
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    max_train: Annotated[int, Field(ge=2)] | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The user's own files that the splits are read from."""
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


SplitSettings = Annotated[KFoldSplits | HoldoutSplits | OfficialSplits | GivenSplits, Field(discriminator="kind")]
