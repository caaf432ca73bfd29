"""Typed JSON records of finished runs, from which all tables are built.

Records of earlier formats can still be read. Format 1 had no format number, called the benchmark `dataset`, and had
flat settings with dotted names.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from sitenet.errors import UserError
from sitenet.files import sha256_of, write_text
from sitenet.tasks import TASKS, TaskName

CHECKSUM = "checksum"
REMEDY = "remove it and run again, which repeats the job that writes it"


class Record(BaseModel):
    """Values stored as JSON; NaN and infinity, which JSON lacks, are stored as text."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class FileRecord(Record):
    """A record that is a file. It keeps the checksums of the files that belong to it, and one of itself.

    Attributes:
        format: Number of the layout; a file without one is of format 1.
        files: SHA-256 of files by their path, seen from the record's folder.
    """

    newest_format: ClassVar[int] = 1
    remedy: ClassVar[str] = REMEDY  # what to do about a damaged file
    format: int = 1
    files: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _upgraded(cls, values: Any) -> Any:
        """Converts values to the current format; refuses those of a newer one."""
        if not isinstance(values, dict):
            return values
        found = values.get("format", 1)
        if found not in range(1, cls.newest_format + 1):
            raise ValueError(f"format {found} is unknown, this version reads formats 1 to {cls.newest_format}")
        return cls.upgrade(values) | {"format": cls.newest_format}

    @classmethod
    def upgrade(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Converts values of an earlier format to the current one."""
        return values

    @classmethod
    def read(cls, path: Path | str, check: Iterable[str] = ()) -> Self:
        """Reads and validates the record at `path`.

        Args:
            path: The file.
            check: Files of the record, by their path seen from its folder, that are about to be read. Earlier
                versions wrote records without checksums; files that a record does not list pass.

        Raises:
            UserError: The record or one of the files is missing or not as it was written, or the record has a format
                that this version does not know.
        """
        try:
            values = json.loads(Path(path).read_text("utf-8"))
            if isinstance(values, dict) and (checksum := values.pop(CHECKSUM, None)) not in (None, _checksum(values)):
                raise UserError(f"{path} is damaged or was changed (its checksum is {checksum}); {cls.remedy}")
            record = cls.model_validate(values)
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "file"
            raise UserError(
                f"{path} is damaged or not a {cls.__name__}: {where}: {first['msg']}; {cls.remedy}"
            ) from None
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UserError(f"{path} is damaged: {error}; {cls.remedy}") from None
        record.check(path, check)
        return record

    def check(self, path: Path | str, names: Iterable[str]) -> None:
        """Compares files of the record at `path` with their checksums; reads each of them once.

        Raises:
            UserError: One is missing or not as it was written.
        """
        for name in names:
            file = Path(path).parent / name
            if not file.exists():
                raise UserError(f"{file} is missing: {self.remedy.removeprefix('remove it and ')}")
            if name in self.files and sha256_of(file) != self.files[name]:
                raise UserError(f"{file} is damaged or was changed since {Path(path).name} was written; {self.remedy}")

    def write(self, path: Path | str, files: Iterable[str] = ()) -> Self:
        """Replaces the file at `path` in one step.

        Args:
            path: The file.
            files: Files that belong to the record, by their path seen from its folder; they are written before it.

        Returns:
            The record with their checksums.
        """
        sums = {name: sha256_of(Path(path).parent / name) for name in files}
        record = self.model_copy(update={"files": self.files | sums})
        values = json.loads(record.model_dump_json())
        write_text(path, json.dumps(values | {CHECKSUM: _checksum(values)}, indent=2) + "\n")
        return record


def _checksum(values: dict[str, Any]) -> str:
    """SHA-256 of JSON values, whatever their order and spacing in the file."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


class FeatureTable(FileRecord):
    """Keeps the checksum of a table beside it: features of composition or structure, descriptors, or these pooled."""


class Cost(Record):
    """Time and memory of a run, restarts included."""

    seconds: float
    peak_memory_mb: float
    restarts: int = 0


class Metrics(Record):
    """Metrics over labelled test crystals by key, see `sitenet.evaluation.statistics.metrics`."""

    values: dict[str, float]
    n_scored: int
    n_unlabelled: int = 0

    @property
    def mae(self) -> float:
        """Mean absolute error in the unit of the target."""
        return self.values["mae"]

    @model_validator(mode="before")
    @classmethod
    def _upgraded(cls, values: Any) -> Any:
        """Converts format 1, in which the metrics stood beside the counts."""
        if not isinstance(values, dict) or "values" in values:
            return values
        counts = {name: values[name] for name in ("n_scored", "n_unlabelled") if name in values}
        return counts | {"values": {name: value for name, value in values.items() if name not in counts}}


class RunKey(Record):
    """Identity of one run: a trial of a benchmark on one fold with one seed."""

    benchmark: str
    trial: str
    fold: int
    seed: int

    def __str__(self) -> str:
        """All of it in words."""
        return f"benchmark {self.benchmark}, trial {self.trial}, fold {self.fold}, seed {self.seed}"

    @model_validator(mode="before")
    @classmethod
    def _upgraded(cls, values: Any) -> Any:
        """Converts format 1, which called the benchmark `dataset`."""
        if isinstance(values, dict) and "dataset" in values:
            return {"benchmark" if name == "dataset" else name: value for name, value in values.items()}
        return values


def nested_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by section and name; accepts the dotted names of format 1, too."""
    nested: dict[str, Any] = {}
    for name, value in settings.items():
        section, dot, key = name.partition(".")
        if dot:
            nested.setdefault(section, {})[key] = value
        else:
            nested[name] = value
    return nested


class Predictions(FileRecord):
    """Which run the `predictions.parquet` beside this record is of; columns id and prediction, no targets."""

    key: RunKey

    @classmethod
    def of_run(cls, path: Path | str, key: RunKey) -> Self:
        """Reads the record at `path`, with its file.

        Raises:
            UserError: They are damaged, or of another run than `key`.
        """
        record = cls.read(path, check=["predictions.parquet"])
        require_run(path, record.key, key)
        return record


def require_run(path: Path | str, found: RunKey, wanted: RunKey) -> None:
    """Refuses a file of another run, which may have been trained on the test crystals of this one.

    Raises:
        UserError: The keys differ.
    """
    if found != wanted:
        raise UserError(f"{path} is of another run ({found}), where that of {wanted} belongs; {REMEDY}")


class RunResult(FileRecord):
    """Settings, scores and costs of one model trained on one fold with one seed.

    `settings` are those of the trial, by section and name. `test` is None until the scoring rule, the only reader of
    test targets, fills it in. Numbers of training crystals are None for published predictions, which do not state
    them. `computed_by` says what computed a network's work on pairs in training: "torch", or compiler and instruction
    set of the kernels; several where the run went on elsewhere, none where that was not recorded. `origin` says which
    network a fine-tuned one started from, and is empty otherwise. `validation_error` chooses epochs and trials; in the
    file it has the name of its score, such as validation_mae.
    `test_predictions.parquet` in the same folder has the prediction of every test crystal (id, target, prediction).
    """

    newest_format = 2
    format: int = 2
    key: RunKey
    kind: str
    settings: dict[str, dict[str, Any]]
    target: str
    unit: str
    task: TaskName = "regression"
    n_train: int | None
    n_train_available: int | None
    n_validation: int
    validation_error: float
    n_parameters: int | None
    epochs: int | None
    cost: Cost
    versions: dict[str, str]
    hardware: dict[str, str | int]
    computed_by: tuple[str, ...] = ()
    origin: str = ""
    finished: datetime = Field(default_factory=lambda: datetime.now(UTC))
    test: Metrics | None = None

    @classmethod
    def upgrade(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Nests the flat settings of format 1, and gives the validation error its name."""
        names = {f"validation_{task.error.key}" for task in TASKS.values()}
        own = {"validation_error" if key in names else key: value for key, value in values.items()}
        return own | {"settings": nested_settings(values.get("settings", {}))}

    @model_serializer(mode="wrap")
    def _named(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The values, with the validation error under the name of its score."""
        name = f"validation_{TASKS[self.task].error.key}"
        return {name if key == "validation_error" else key: value for key, value in serialise(self).items()}
