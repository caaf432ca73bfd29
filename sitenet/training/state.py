"""Where a training stands: everything that is not a tensor, stored as JSON in its checkpoint."""

import dataclasses
from dataclasses import dataclass, field

from sitenet.history import HistoryRow


@dataclass
class Epoch:
    """Sums over the batches of the epoch under way.

    Attributes:
        batches: Batches done, skipped ones too.
        seen: Their crystals.
        crystals: The crystals among them that a step was taken with.
        loss: Sum of the losses of the latter.
        absolute_error: Sum of their absolute errors, in the unit of the target.
        seconds: Time spent in the batches.
    """

    batches: int = 0
    seen: int = 0
    crystals: int = 0
    loss: float = 0.0
    absolute_error: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Best:
    """The weights to keep: those of the lowest validation MAE, averaged or not."""

    epoch: int
    validation_mae: float
    averaged: bool


@dataclass
class TrainingState:
    """Where a training stands, but for its tensors.

    Attributes:
        history: Finished epochs.
        epoch: The epoch under way.
        best: Best epoch so far; None before the first validation.
        skipped: Batches without a step because loss or gradient was not finite.
        seconds: Time spent up to the last checkpoint, earlier processes included.
        validation_seconds: Duration of the last validation.
        restarts: Times the run was resumed.
        peak_memory_mb: Highest resident memory of its processes.
    """

    history: list[HistoryRow] = field(default_factory=list)
    epoch: Epoch = field(default_factory=Epoch)
    best: Best | None = None
    skipped: int = 0
    seconds: float = 0.0
    validation_seconds: float = 0.0
    restarts: int = 0
    peak_memory_mb: float = 0.0

    @property
    def epochs(self) -> int:
        """Epochs finished."""
        return len(self.history)

    @classmethod
    def from_dict(cls, values: dict) -> "TrainingState":
        """Inverse of `dataclasses.asdict`."""
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
