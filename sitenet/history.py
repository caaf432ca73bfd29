"""The history of a training run in `history.jsonl`: one line of JSON per epoch."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sitenet.errors import UserError
from sitenet.files import write_text

FILE = "history.jsonl"


@dataclass(frozen=True)
class HistoryRow:
    """One epoch, one line of `history.jsonl`.

    Attributes:
        epoch: Number of the epoch, from 1.
        seconds: Time since the run began, restarts included.
        learning_rate: Learning rate of the last step of the epoch.
        train_loss: Mean loss over the training crystals, computed while the weights change.
        train_mae: Mean absolute error over the same crystals at the same time, in the unit of the target.
        validation_mae: Mean absolute error over the validation crystals after the epoch.
        validation_mae_ema: The same with averaged weights; None without averaging.
        crystals_per_second: Training crystals per second, without validation.
    """

    epoch: int
    seconds: float
    learning_rate: float
    train_loss: float | None
    train_mae: float | None
    validation_mae: float
    validation_mae_ema: float | None
    crystals_per_second: float


def write_history(folder: Path, rows: Sequence[HistoryRow]) -> None:
    """Writes all finished epochs of the run in `folder`: the whole file, so no epoch is missing or repeated."""
    write_text(folder / FILE, "".join(json.dumps(asdict(row)) + "\n" for row in rows))


def read_history(folder: Path) -> list[HistoryRow]:
    """Finished epochs of the run in `folder`; an empty list if it has no history yet.

    Raises:
        UserError: The file is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return []
    lines = path.read_text("utf-8", errors="replace").splitlines()
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(HistoryRow(**json.loads(line)))
        except (ValueError, TypeError):
            raise UserError(f"{path}, line {number}, is damaged: remove the folder's run.json to train again") from None
    return rows
