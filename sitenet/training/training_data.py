"""The training and validation crystals of one fold, found in the feature store."""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sitenet.errors import UserError
from sitenet.features.store import FeatureStore
from sitenet.training.batching import Indices, shuffled

logger = logging.getLogger("sitenet")

SUBSET_STREAM = 2**32  # beyond every epoch


@dataclass(frozen=True)
class Labelled:
    """Crystals with known targets.

    Attributes:
        indices: (C,) index of each crystal in the feature store.
        targets: (C,) targets in the unit of the data set.
    """

    indices: Indices
    targets: NDArray[np.float64]

    def __len__(self) -> int:  # noqa: D105
        return len(self.indices)


@dataclass(frozen=True)
class TrainingData:
    """What training may see of a fold.

    Attributes:
        train: Crystals to fit, at most `max_crystals`.
        validation: Crystals to choose the best epoch by.
        n_train_available: Training crystals before `max_crystals` applied.
        checksum: SHA-256 over the ids, targets and parts in the fold file.
    """

    train: Labelled
    validation: Labelled
    n_train_available: int
    checksum: str


def read_training_data(path: Path, store: FeatureStore, max_crystals: int | None, seed: int) -> TrainingData:
    """Reads a fold file (columns id, target, part).

    Args:
        path: `train.parquet` of the fold.
        store: Features of all its crystals.
        max_crystals: Size of the random training subset; a smaller one is contained in a larger one.
        seed: Seed of the subset.

    Crystals without features are listed in the failures of their feature set, and left out here.

    Raises:
        UserError: A part is empty or a target is missing.
    """
    frame = pd.read_parquet(path, columns=["id", "target", "part"]).sort_values("id")
    checksum = hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()
    if not np.isfinite(frame["target"]).all():
        raise UserError(f"{path}: every crystal needs a finite target")
    known = store.has(frame["id"].tolist())
    if not known.all():
        logger.warning("%d of %d training crystals have no features and are left out", sum(~known), len(frame))
        frame = frame[known]
    train, validation = frame[frame["part"] == "train"], frame[frame["part"] == "validation"]
    if train.empty or validation.empty:
        raise UserError(f"{path}: needs crystals of part 'train' ({len(train)}) and 'validation' ({len(validation)})")
    chosen = np.sort(shuffled(len(train), seed, SUBSET_STREAM)[:max_crystals])
    return TrainingData(
        train=_labelled(train.iloc[chosen], store),
        validation=_labelled(validation, store),
        n_train_available=len(train),
        checksum=checksum,
    )


def _labelled(frame: pd.DataFrame, store: FeatureStore) -> Labelled:
    return Labelled(store.indices_of(frame["id"].tolist()), frame["target"].to_numpy(np.float64))
