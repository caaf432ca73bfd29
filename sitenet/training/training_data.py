"""The training and validation crystals of one fold, with their places in the feature store."""

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

SUBSET_STREAM = 2**32  # random stream of the subset; the streams below it belong to the epochs


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
    """Training and validation crystals of a fold.

    Attributes:
        train: Crystals to train on, at most `max_crystals`.
        validation: Crystals that select the best epoch.
        n_train_available: Number of training crystals before `max_crystals` is applied.
        checksum: SHA-256 over the ids, targets and parts in the fold file.
    """

    train: Labelled
    validation: Labelled
    n_train_available: int
    checksum: str


def read_training_data(path: Path, store: FeatureStore, max_crystals: int | None, seed: int) -> TrainingData:
    """Reads a fold file (columns id, target, part).

    Crystals without features are left out; the failures table of the feature set lists them.

    Args:
        path: `train.parquet` of the fold.
        store: Features of all its crystals.
        max_crystals: Size of the random training subset; a smaller one is contained in a larger one.
        seed: Seed of the subset.

    Raises:
        UserError: A part is empty or a target is missing.
    """
    frame = pd.read_parquet(path, columns=["id", "target", "part"]).sort_values("id")
    checksum = hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()
    unlabelled = frame.loc[~np.isfinite(frame["target"]), "id"].tolist()
    if unlabelled:
        raise UserError(
            f"{path}: {len(unlabelled)} of {len(frame)} crystals have no finite target, {unlabelled[0]} among them; "
            "training needs one for every crystal"
        )
    known = store.has(frame["id"].tolist())
    if not known.all():
        logger.warning("%d of %d training crystals have no features and are left out", sum(~known), len(frame))
        frame = frame[known]
    train, validation = frame[frame["part"] == "train"], frame[frame["part"] == "validation"]
    if train.empty or validation.empty:
        raise UserError(
            f"{path}: {len(train)} crystals with features are in the part 'train' and {len(validation)} in "
            "'validation'; both need at least one"
        )
    chosen = np.sort(shuffled(len(train), seed, SUBSET_STREAM)[:max_crystals])
    return TrainingData(
        train=_labelled(train.iloc[chosen], store),
        validation=_labelled(validation, store),
        n_train_available=len(train),
        checksum=checksum,
    )


def _labelled(frame: pd.DataFrame, store: FeatureStore) -> Labelled:
    return Labelled(store.indices_of(frame["id"].tolist()), frame["target"].to_numpy(np.float64))
