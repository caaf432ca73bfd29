"""State of a training run without its tensors, stored as JSON in the checkpoint."""

import dataclasses
from dataclasses import dataclass, field

from sitenet.history import HistoryRow


@dataclass
class Epoch:
    """Sums over the finished batches of the current epoch.

    Attributes:
        batches: Number of batches, including skipped ones.
        seen: Crystals in these batches.
        crystals: Crystals in the batches that were not skipped.
        loss: Sum of the losses of `crystals`.
        absolute_error: Sum of the absolute errors of `crystals`, in the unit of the target.
        seconds: Time spent on the batches.
    """

    batches: int = 0
    seen: int = 0
    crystals: int = 0
    loss: float = 0.0
    absolute_error: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Best:
    """The best weights so far, those with the lowest validation MAE.

    Attributes:
        epoch: Their epoch, from 1.
        validation_mae: Their validation MAE, in the unit of the target.
        averaged: Whether they are averaged weights.
    """

    epoch: int
    validation_mae: float
    averaged: bool


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
                "history": [HistoryRow(**row) for row in values["history"]],
                "epoch": Epoch(**values["epoch"]),
                "best": Best(**values["best"]) if values["best"] else None,
            }
        )

    def to_dict(self) -> dict:
        """Plain values that JSON can hold; floats survive the round trip exactly."""
        return dataclasses.asdict(self)
