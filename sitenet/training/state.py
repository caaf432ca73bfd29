"""State of a training run without its tensors, stored as JSON in the checkpoint."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sitenet.history import HistoryRow


@dataclass
class Epoch:
    """Sums over the finished batches of the current epoch.

    Attributes:
        batches: Number of batches, including skipped ones.
        seen: Crystals in these batches.
        crystals: Crystals in the batches that were not skipped.
        loss: Sum of the losses of `crystals`.
        error: Sum of the errors of `crystals`, of the kind that chooses epochs.
        seconds: Time spent on the batches.
    """

    batches: int = 0
    seen: int = 0
    crystals: int = 0
    loss: float = 0.0
    error: float = 0.0
    seconds: float = 0.0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Epoch":
        """The stored values, of which earlier versions had another name for the error."""
        return cls(**{"error" if name == "absolute_error" else name: own for name, own in values.items()})


@dataclass(frozen=True)
class Best:
    """The best weights so far, those with the lowest validation error.

    Attributes:
        epoch: Their epoch, from 1.
        validation_error: Their validation error, in the unit of the target if it has one.
        averaged: Whether they are averaged weights.
    """

    epoch: int
    validation_error: float
    averaged: bool

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Best":
        """The stored values, of which earlier versions had another name for the error."""
        return cls(**{"validation_error" if name == "validation_mae" else name: own for name, own in values.items()})


@dataclass
class TrainingState:
    """State of a training run without its tensors.

    Attributes:
        history: Finished epochs.
        epoch: The current epoch.
        best: Best weights so far; None before the first validation.
        skipped: Batches that were skipped because loss or gradient was not finite.
        seconds: Training time so far, including that of earlier processes.
        validation_seconds: Duration of the last validation.
        setup_seconds: Part of `seconds` before the first steps of its processes: a GPU records them.
        restarts: Times the run was resumed.
        peak_memory_mb: Highest resident memory of its processes.
    """

    history: list[HistoryRow] = field(default_factory=list)
    epoch: Epoch = field(default_factory=Epoch)
    best: Best | None = None
    skipped: int = 0
    seconds: float = 0.0
    validation_seconds: float = 0.0
    setup_seconds: float = 0.0
    restarts: int = 0
    peak_memory_mb: float = 0.0

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return len(self.history)

    @classmethod
    def from_dict(cls, values: dict) -> "TrainingState":
        """Inverse of `to_dict`."""
        return cls(
            **values
            | {
                "history": [HistoryRow.from_dict(row) for row in values["history"]],
                "epoch": Epoch.from_dict(values["epoch"]),
                "best": Best.from_dict(values["best"]) if values["best"] else None,
            }
        )

    def to_dict(self) -> dict:
        """Plain values that JSON can hold; floats survive the round trip exactly."""
        return dataclasses.asdict(self) | {"history": [row.named() for row in self.history]}
