"""What a model says beside a prediction: intervals, the probability of a metal, flags."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.prediction.uncertainty.calibration import Calibration
from sitenet.prediction.uncertainty.flags import flags
from sitenet.prediction.uncertainty.sketch import sketch
from sitenet.prediction.uncertainty.training_set import TrainingSet

CALIBRATION, TRAINING_SET = "calibration.json", "training_set.npz"


@dataclass(frozen=True)
class Uncertainty:
    """A model's calibration and what it has learnt from, as they lie in its folder."""

    calibration: Calibration
    training: TrainingSet

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """That of the model in a folder; None where the model has none.

        Raises:
            UserError: One of its files is missing or damaged.
        """
        if not (folder / CALIBRATION).exists():
            return None
        calibration = Calibration.read(folder / CALIBRATION, check=[TRAINING_SET])
        return cls(calibration, TrainingSet.read(folder / TRAINING_SET))

    def write(self, folder: Path) -> None:
        """Writes both files."""
        self.training.write(folder / TRAINING_SET)
        self.calibration.write(folder / CALIBRATION, files=[TRAINING_SET])

    def columns(
        self, crystals: Sequence[Crystal], predictions: NDArray[np.float64], spreads: NDArray[np.float64]
    ) -> dict[str, Any]:
        """Columns low_80, high_80, low_95, high_95, metal and flags of C crystals.

        Args:
            crystals: The structures.
            predictions: (C,) means over the networks; NaN where there is none.
            spreads: (C,) standard deviations over the networks.

        Returns:
            The ends of the intervals in the unit of the target, the probability that the target is 0 where targets can
            be, and the flags, separated by semicolons. With an element that no training crystal has, nothing is known
            of errors: there are no intervals then, and no probability.
        """
        spreads = np.nan_to_num(spreads)  # a single network has none
        known = [bool(self.training.elements[one.atomic_numbers].all()) for one in crystals]
        predictions = np.where(known, predictions, np.nan)
        ends = self.calibration.intervals(predictions, spreads)
        columns: dict[str, Any] = {str(name): values.to_numpy() for name, values in ends.items()}
        if self.calibration.metal_prediction:
            columns["metal"] = self.calibration.metal(predictions)
        high = self.calibration.high_spread
        found = [_flags(one, s, self.training, high) for one, s in zip(crystals, spreads, strict=True)]
        return columns | {"flags": ["; ".join(names) for names in found]}


def _flags(crystal: Crystal, spread: float, training: TrainingSet, high_spread: float) -> list[str]:
    try:
        return list(flags(sketch(crystal), spread, training, high_spread))
    except BadCrystal as reason:
        return [f"size: not compared with training crystals, {reason}"]
