"""The history of a training: one epoch a row, one row a line of `history.jsonl`."""

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
        learning_rate: Rate of the epoch's last step.
        train_loss: Mean loss over the crystals, while the weights changed.
        train_mae: Mean absolute error over the same crystals, in the unit of the target.
        validation_mae: Mean absolute error over all validation crystals.
        validation_mae_ema: The same with the averaged weights; None where no average is kept.
        crystals_per_second: Training crystals a second, validation left out.
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
    """Writes all finished epochs of the run in `folder`; always the whole file, so none is missing or double."""
    write_text(folder / FILE, "".join(json.dumps(asdict(row)) + "\n" for row in rows))


def read_history(folder: Path) -> list[HistoryRow]:
    """Epochs of the run in `folder`; none where it has no history yet.

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
