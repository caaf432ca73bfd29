"""Typed JSON records of finished runs, from which all tables are built.

Records of earlier formats can still be read. Format 1 had no format number, called the benchmark `dataset`, and had
flat settings with dotted names.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sitenet.errors import UserError
from sitenet.files import write_text


class Record(BaseModel):
    """Values stored as JSON; NaN and infinity, which JSON lacks, are stored as text."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class FileRecord(Record):
    """A record in a file of its own.

    Attributes:
        format: Number of the file format; a file without one has format 1.
    """

    newest_format: ClassVar[int] = 1
    format: int = 1

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
    def read(cls, path: Path | str) -> Self:
        """Reads and validates the record at `path`.

        Raises:
            UserError: The file is missing, damaged, or of a format that this version does not know.
        """
        try:
            return cls.model_validate_json(Path(path).read_text("utf-8"))
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            problem = f"{where}: {first['msg']}" if where else first["msg"]
            raise UserError(f"{path} is damaged or not a {cls.__name__}: {problem}") from None
        except ValueError as error:
            raise UserError(f"{path} is damaged: {error}") from None

    def write(self, path: Path | str) -> None:
        """Writes the record to `path`, replacing an old file in one step."""
        write_text(path, self.model_dump_json(indent=2) + "\n")


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


class RunResult(FileRecord):
    """Settings, scores and costs of one model trained on one fold with one seed.

    `settings` are those of the trial, by section and name. `test` is None until the scoring rule, the only reader of
    test targets, fills it in. Numbers of training crystals are None for published predictions, which do not state
    them. `test_predictions.parquet` in the same folder has the prediction of every test crystal (id, target,
    prediction).
    """

    newest_format = 2
    format: int = 2
    key: RunKey
    kind: str
    settings: dict[str, dict[str, Any]]
    target: str
    unit: str
    n_train: int | None
    n_train_available: int | None
    n_validation: int
    validation_mae: float
    n_parameters: int | None
    epochs: int | None
    cost: Cost
    versions: dict[str, str]
    hardware: dict[str, str | int]
    finished: datetime = Field(default_factory=lambda: datetime.now(UTC))
    test: Metrics | None = None

    @classmethod
    def upgrade(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Nests the flat settings of format 1."""
        return values | {"settings": nested_settings(values.get("settings", {}))}
