"""What a run leaves behind: typed JSON records from which alone every table is built.

Records of earlier formats are still read. Format 1 had no number, named the benchmark `dataset`, and had flat settings
with dotted names.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sitenet.errors import UserError
from sitenet.files import write_text


class Record(BaseModel):
    """Values that are stored as JSON; NaN and infinity, which JSON lacks, are stored as text."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class FileRecord(Record):
    """A record that is a file.

    Attributes:
        format: Number of the layout; a file without one is of format 1.
    """

    newest_format: ClassVar[int] = 1
    format: int = 1

    @model_validator(mode="before")
    @classmethod
    def _upgraded(cls, values: Any) -> Any:
        """Values of today's format; those of a newer one are refused."""
        if not isinstance(values, dict):
            return values
        found = values.get("format", 1)
        if found not in range(1, cls.newest_format + 1):
            raise ValueError(f"format {found} is not one of 1 to {cls.newest_format}, which this version reads")
        return cls.upgrade(values) | {"format": cls.newest_format}

    @classmethod
    def upgrade(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Values of an earlier format as today's has them."""
        return values

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """Reads and validates the record at `path`.

        Raises:
            UserError: It is not there, damaged, or of a format that this version does not know.
        """
        try:
            return cls.model_validate_json(Path(path).read_text("utf-8"))
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise UserError(
                f"{path} is damaged or not a {cls.__name__}: {where + ': ' * bool(where)}{first['msg']}"
            ) from None
        except ValueError as error:
            raise UserError(f"{path} is damaged: {error}") from None

    def write(self, path: Path | str) -> None:
        """Replaces the file at `path` in one step."""
        write_text(path, self.model_dump_json(indent=2) + "\n")


class Cost(Record):
    """What a run took, restarts included."""

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
        """In format 1 the metrics stood beside the counts."""
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
        """The key of format 1 called the benchmark `dataset`."""
        if isinstance(values, dict) and "dataset" in values:
            return {"benchmark" if name == "dataset" else name: value for name, value in values.items()}
        return values


def nested_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by section and name, also where they come with dotted names as in records of format 1."""
    nested: dict[str, Any] = {}
    for name, value in settings.items():
        section, dot, key = name.partition(".")
        if dot:
            nested.setdefault(section, {})[key] = value
        else:
            nested[name] = value
    return nested


class RunResult(FileRecord):
    """One trained model on one fold: what it was, what it reached and what it cost.

    `settings` are those of the trial, by section and name. `test` is None until the scoring rule, the only reader of
    test targets, fills it in. Numbers of training crystals are None where others trained and did not tell.
    Per-crystal test predictions lie beside it in `test_predictions.parquet` (id, target, prediction).
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
