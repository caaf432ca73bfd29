"""Records of what a data set is and how it is split; light to import, as every job reads them."""

from collections.abc import Iterable

from pydantic import Field

from sitenet.records import FileRecord, Record
from sitenet.tasks import TASKS, Task, TaskName

EXPORTED_STRUCTURES = ("structures.extxyz", "structures.json.gz")
EXPORTED_PARTS = ("train.csv", "validation.csv", "test.csv")


class Export(FileRecord):
    """Keeps the checksums of crystals and folds for other programs, which lie beside it."""


class Download(FileRecord):
    """A file that a data set is read from, and the file of its official splits where that is another one."""

    path: str
    sha256: str
    splits: "Download | None" = Field(default=None, exclude_if=lambda splits: splits is None)


class Counts(Record):
    """Rows of a data set; `rows` = `kept` + `failed` + `left_out`, and `unlabelled` are among the kept."""

    rows: int
    kept: int
    failed: int
    left_out: int
    unlabelled: int


class TargetRange(Record):
    """The targets of the crystals kept, in their unit, so that a wrong column or unit is seen."""

    smallest: float
    median: float
    largest: float


class OtherTarget(Record):
    """A further target; `known` is the number of crystals that have it."""

    name: str
    unit: str
    known: int


class Manifest(FileRecord):
    """What a data set is, where it comes from and what became of its rows.

    Attributes:
        sha256: Checksum of the file that was read.
        structures_sha256: Checksum of the `structures.parquet` written from it.
        task: What the target is: a number, or one of two classes.
        targets: What numbers are like; None where none is known, or in manifests of before there were ranges.
        positives: Number of crystals of class 1; None of a regression.
        other_targets: Further targets, which networks may learn beside this one.
        filters: Settings that leave crystals out.
        failures: Number of failed rows of each kind; each is listed in `failures.csv`.
    """

    name: str
    source: str
    version: str
    url: str
    sha256: str
    licence: str
    citation: str
    query: str
    target: str
    unit: str
    non_negative: bool
    task: TaskName = "regression"
    counts: Counts
    targets: TargetRange | None = None
    positives: int | None = None
    other_targets: tuple[OtherTarget, ...] = Field(default=(), exclude_if=lambda others: not others)
    filters: dict[str, int]
    failures: dict[str, int]
    structures_sha256: str

    def describe_targets(self) -> str:
        """One line for people: how many targets were read, and from where to where they go."""
        read = (
            f"{self.name}: {self.counts.kept - self.counts.unlabelled:,} targets of {self.counts.rows:,} rows are used"
        )
        others = "".join(f"; {other.known:,} of {other.name}" for other in self.other_targets)
        if self.targets is None:
            return read + (f" ({self.target}): {self.classes}" if self.positives is not None else "") + others
        numbers = ", ".join(f"{name} {number:.4g}" for name, number in vars(self.targets).items())
        return f"{read} ({self.target}, {self.unit}): {numbers}{others}"

    @property
    def classes(self) -> str:
        """How many crystals are of which class, in words; empty of a regression."""
        if self.positives is None:
            return ""
        labelled = self.counts.kept - self.counts.unlabelled
        return f"{self.positives:,} of class 1, {labelled - self.positives:,} of class 0"

    @property
    def judged(self) -> Task:
        """The task, with the scores that judge predictions."""
        return TASKS[self.task]

    @property
    def quantity(self) -> str:
        """The target with its unit, which a class has not."""
        return f"{self.target} ({self.unit})" if self.task == "regression" else self.target


class FoldCounts(Record):
    """Sizes of one fold.

    Attributes:
        train: Crystals trained on.
        validation: Crystals that select epochs and hyperparameters.
        test: Crystals predicted.
        test_unlabelled: Those among `test` without a target, which are not scored.
        full_train: Training and validation crystals, with failed, left-out and unlabelled ones.
        full_test: Test crystals, with failed and left-out ones.
        beside: Crystals that networks may train on, too: they lack the target and have another one.
    """

    train: int
    validation: int
    test: int
    test_unlabelled: int
    full_train: int
    full_test: int
    beside: int = Field(default=0, exclude_if=lambda beside: beside == 0)

    def describe(self) -> str:
        """What is used of the full parts, such as "100 of 84,890 training crystals ..."."""
        text = (
            f"{self.train + self.validation:,} of {self.full_train:,} training crystals "
            f"({self.validation:,} of them for validation), {self.test:,} of {self.full_test:,} test crystals"
        )
        text += f" ({self.test_unlabelled:,} unlabelled, not scored)" if self.test_unlabelled else ""
        return text + (f", {self.beside:,} training crystals with other targets alone" if self.beside else "")

    @property
    def is_whole(self) -> bool:
        """Whether every crystal is used and scored."""
        used = (self.train + self.validation, self.test, self.test_unlabelled)
        return used == (self.full_train, self.full_test, 0)


class Splits(FileRecord):
    """What the folds of a data set are; `sha256` covers every id and its part in every fold.

    Attributes:
        held_out: What the test part of each fold has and its training part lacks, in words; empty for kinds of splits
            whose folds have no name.
    """

    kind: str
    seed: int
    folds: tuple[FoldCounts, ...]
    sha256: str
    held_out: tuple[str, ...] = ()

    def held_out_notes(self, folds: Iterable[int]) -> list[str]:
        """A line for each of `folds` that holds out something with a name, for the footer of tables."""
        return [
            f"Fold {k} holds out {self.held_out[k]}: {self.folds[k].full_test:,} crystals."
            for k in (folds if self.held_out else ())
        ]

    def subset_notes(self, folds: Iterable[int]) -> list[str]:
        """A line for each of `folds` that is not used whole, for the footer of tables."""
        return [f"Fold {k}: {self.folds[k].describe()}." for k in folds if not self.folds[k].is_whole]
