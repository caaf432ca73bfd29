"""The history of a training run in `history.jsonl`: one line of JSON per epoch."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sitenet.errors import UserError
from sitenet.files import write_text
from sitenet.tasks import MAE

FILE = "history.jsonl"
_FIGURE = re.compile(r"(train|validation)_(?!loss$)(.+?)(|_ema)")  # the key of the error is in the middle


@dataclass(frozen=True)
class HistoryRow:
    """One epoch, one line of `history.jsonl`.

    Attributes:
        epoch: Number of the epoch, from 1.
        seconds: Time since the run began, restarts included.
        learning_rate: Learning rate of the last step of the epoch.
        train_loss: Mean loss over the training crystals, computed while the weights change.
        train_error: Error over the same crystals at the same time, in the unit of the target if it has one.
        validation_error: Error over the validation crystals after the epoch.
        validation_error_ema: The same with averaged weights; None without averaging.
        crystals_per_second: Training crystals per second, without validation.
        error: Which error that is, the key of a `Score`; in the file it is part of the names, such as train_mae.
    """

    epoch: int
    seconds: float
    learning_rate: float
    train_loss: float | None
    train_error: float | None
    validation_error: float
    validation_error_ema: float | None
    crystals_per_second: float
    error: str = MAE.key

    def named(self) -> dict[str, float | None]:
        """Values by their names in the file."""
        values = {name: value for name, value in asdict(self).items() if name != "error"}
        return {name.replace("_error", f"_{self.error}"): value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "HistoryRow":
        """Inverse of `named`."""
        own = dict(values)
        for name in values:
            if found := _FIGURE.fullmatch(name):
                own["error"], own[f"{found[1]}_error{found[3]}"] = found[2], own.pop(name)
        return cls(**own)


def write_history(folder: Path, rows: Sequence[HistoryRow]) -> None:
    """Writes all finished epochs of the run in `folder`: the whole file, so no epoch is missing or repeated."""
    write_text(folder / FILE, "".join(json.dumps(row.named()) + "\n" for row in rows))


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
            rows.append(HistoryRow.from_dict(json.loads(line)))
        except (ValueError, TypeError, AttributeError):
            raise UserError(f"{path}, line {number}, is damaged: remove the folder's run.json to train again") from None
    return rows
