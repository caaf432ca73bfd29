"""What every data source has: settings, rows read one by one, and where they come from.

A source is one file of this folder and one name in `DatasetSettings`. Planning reads the settings, so heavy packages
are imported in `download` and `open`.
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from sitenet.data.manifest import Download
from sitenet.errors import UserError
from sitenet.files import sha256_of
from sitenet.settings.problems import unknown
from sitenet.settings.section import Section, Share
from sitenet.tasks import TaskName

if TYPE_CHECKING:
    from sitenet.data.crystal import BadCrystal, Crystal

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# Ids of the training, validation and test part of a fold.
Parts = tuple[list[str], list[str], list[str]]
# Columns of the user's tables, and of those written from them, that are no target; `all` stands for all targets.
RESERVED = ("id", "target", "group", "file", "part", "structure", "lattice", "atomic_numbers", "frac_coords", "all")


@dataclass(frozen=True)
class SourceRow:
    """One row of a data source.

    Attributes:
        id: Identifier as the source gives it.
        crystal: The structure, or the reason why it cannot be used.
        target: Value to predict; None leaves the crystal unlabelled.
        group: What must not be split over training and test part; None takes the reduced formula.
        file: The user's file that it was read from, as the table of targets names it; None elsewhere.
        others: Values of further targets by name; None, like an absent one, is not known.
    """

    id: str
    crystal: "Crystal | BadCrystal"
    target: float | None
    group: str | None = None
    file: str | None = None
    others: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class LeftOut:
    """A row that is counted but not used, such as one of another task; `id` is as the source gives it."""

    id: str


@dataclass(frozen=True)
class Provenance:
    """Where a data set comes from, for its manifest.

    Attributes:
        version: Version of the data set or of the database it was taken from.
        url: Where it was, or can be, obtained; of own files the name.
        sha256: Checksum of the file that was read.
        licence: Terms of use.
        citation: Publications to cite.
        query: Criteria of a database query; empty elsewhere.
    """

    version: str
    url: str
    sha256: str
    licence: str
    citation: str
    query: str = ""


@dataclass(frozen=True)
class Source:
    """An opened data set; `rows` can be iterated once."""

    provenance: Provenance
    rows: Iterable[SourceRow | LeftOut]


class Target(NamedTuple):
    """A property that is predicted; `non_negative` says that predictions are clamped at zero."""

    name: str
    unit: str
    non_negative: bool
    task: TaskName = "regression"


class BaseDataset(Section):
    """What the settings of all data sources share; a subclass has the fields `source` and `name` too.

    Attributes:
        max_sites: Crystals with more sites in the cell as given are listed as failures; None takes all.
        max_crystals: Random subset of the usable crystals; None takes all.
        subset_seed: Chooses the subset of `max_crystals`; subsets of one seed are nested.
        max_failed_share: Stop if a larger share of the crystals read cannot be used.
    """

    needs_download: ClassVar[bool] = False
    n_official_folds: ClassVar[int] = 0
    downloads_folds: ClassVar[bool] = False  # whether `official_folds` reads what `download` fetched

    max_sites: Annotated[int, Field(ge=1)] | None = None
    max_crystals: Annotated[int, Field(ge=1)] | None = None
    subset_seed: Annotated[int, Field(ge=0)] = 0
    max_failed_share: Share = 0.01

    @property
    def files(self) -> tuple[str, ...]:
        """The user's own files that are read."""
        return ()

    @property
    def task_name(self) -> TaskName:
        """What the target is: a number, unless the source has classes."""
        return "regression"

    @property
    def others(self) -> tuple[Target, ...]:
        """Further targets, which networks may learn beside the one that is predicted."""
        return ()

    def download(self, folder: Path) -> Download:
        """Brings what is read into `folder`, for sources that say `needs_download`; a file that is there is checked.

        Raises:
            UserError: It cannot be had, or is not what the settings ask for.
        """
        raise UserError(f"data set '{type(self).__name__}' needs no download")

    def official_folds(self, download: Download | None = None) -> list[Parts]:
        """The published folds, for sources that have `n_official_folds`; no validation part leaves it to the user.

        Raises:
            UserError: The file that they are read from is missing, damaged or not what was downloaded.
        """
        raise UserError(f"data set '{type(self).__name__}' has no official folds")

    @abstractmethod
    def open(self, download: Download | None = None) -> Source:
        """Opens the source, given what `download` fetched.

        Raises:
            UserError: What the source reads is missing, damaged or not what was downloaded.
        """


class StatedTarget(BaseDataset):
    """A data set whose user says what its target is.

    A subclass has the fields `target`, `unit` and `non_negative`, too.

    Attributes:
        other_targets: Further targets that networks may learn beside it, with their units, such as
            `{density: g/cm^3}`: columns of the table, or fields of the documents. Crystals may lack some.
    """

    model_config = ConfigDict(json_schema_extra=lambda schema: schema["required"].remove("unit"))
    task: TaskName = Field(default="regression", exclude_if=lambda task: task == "regression")
    other_targets: dict[str, str] = Field(default={}, exclude_if=lambda units: not units)

    @property
    def task_name(self) -> TaskName:
        """What the target is, as the user says."""
        return self.task

    @property
    def others(self) -> tuple[Target, ...]:
        """Further targets with the units that the user states."""
        return tuple(Target(name, unit, non_negative=False) for name, unit in self.other_targets.items())

    @field_validator("other_targets")
    @classmethod
    def _names_of_columns(cls, units: dict[str, str]) -> dict[str, str]:
        for name in units:
            if not name or not name.isprintable() or name.strip() != name or name.lower() in RESERVED:
                raise ValueError(f"{name!r} cannot be the name of a target")
        return units

    @field_validator("target", check_fields=False)
    @classmethod
    def _is_no_other(cls, target: str, info: ValidationInfo) -> str:
        if target in info.data.get("other_targets", ()):
            raise ValueError("it is among other_targets, too")
        return target

    @model_validator(mode="before")
    @classmethod
    def _a_class_needs_no_unit(cls, values: Any) -> Any:
        is_class = isinstance(values, dict) and values.get("task") == "classification"
        return {"unit": "", **values} if is_class else values

    @field_validator("unit", "non_negative", check_fields=False)
    @classmethod
    def _only_for_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        if value and info.data.get("task") == "classification":
            raise ValueError("leave it out, since the target is a class")
        return value


class NamedDataset(BaseDataset):
    """A data set whose target is fixed by its name."""

    targets: ClassVar[dict[str, Target]]
    name: str

    @property
    def target(self) -> str:
        """Name of the predicted property."""
        return self.targets[self.name].name

    @property
    def unit(self) -> str:
        """Unit of the target."""
        return self.targets[self.name].unit

    @property
    def non_negative(self) -> bool:
        """Whether predictions are clamped at zero."""
        return self.targets[self.name].non_negative

    @property
    def task_name(self) -> TaskName:
        """What the target is."""
        return self.targets[self.name].task


class NamedTargets(NamedDataset):
    """Several data sets of the same crystals, each with a target of its own.

    Attributes:
        other_targets: Targets of the other ones that networks may learn beside its own. Crystals may lack some.
    """

    other_targets: tuple[str, ...] = Field(default=(), exclude_if=lambda names: not names)

    @field_validator("other_targets")
    @classmethod
    def _of_other_names(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        valid = [target.name for key, target in cls.targets.items() if key != info.data.get("name")]
        for name in names:
            if name not in valid:
                raise ValueError(unknown("target", name, valid))
        if len(set(names)) < len(names):
            raise ValueError("none may be repeated")
        return names

    @property
    def others(self) -> tuple[Target, ...]:
        """Further targets of the same crystals."""
        known = {target.name: target for target in self.targets.values()}
        return tuple(known[name] for name in self.other_targets)


def known_name(name: str, targets: dict[str, Target]) -> str:
    """The name, where it is one of those that have a target; raises ValueError where it is not."""
    if name not in targets:
        raise ValueError(unknown("data set", name, targets))
    return name


def check_unchanged(download: Download | None, rule: str) -> Download:
    """The record of a downloaded file, once the file has the checksum that it states.

    Args:
        download: The file and its checksum.
        rule: The rule of the workflow that downloaded it.

    Raises:
        UserError: It is missing, or not what was downloaded.
    """
    assert download is not None, "the workflow downloads before it opens"
    path = Path(download.path)
    if not path.exists() or sha256_of(path) != download.sha256:
        raise UserError(f"{path} is missing or has changed since it was downloaded: run again with `--forcerun {rule}`")
    return download
