"""What a run leaves behind: typed JSON records from which alone every table is built."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from sitenet.files import write_text


class Record(BaseModel):
    """A record stored as JSON; NaN and infinity, which JSON lacks, are stored as text."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """Reads and validates the record at `path`."""
        return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))

    def write(self, path: Path | str) -> None:
        """Replaces the file at `path` in one step."""
        write_text(path, self.model_dump_json(indent=2) + "\n")


class Cost(Record):
    """What a run took, restarts included."""

    seconds: float
    peak_memory_mb: float
    restarts: int = 0


class Metrics(Record):
    """Errors over labelled test crystals, in the unit of the target."""

    mae: float
    rmse: float
    max_error: float
    n_scored: int
    n_unlabelled: int = 0


class RunKey(Record):
    """Identity of one run: a trial on one fold with one seed."""

    dataset: str
    trial: str
    fold: int
    seed: int


class RunResult(Record):
    """One trained model on one fold: what it was, what it reached and what it cost.

    `test` is None until the scoring rule, the only reader of test targets, fills it in.
    Numbers of training crystals are None where others trained and did not tell.
    Per-crystal test predictions lie beside it in `test_predictions.parquet` (id, target, prediction).
    """

    key: RunKey
    kind: str
    settings: dict[str, Any]
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
