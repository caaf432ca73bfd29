"""The training and validation crystals of one fold, with their places in the feature store."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sitenet.errors import UserError
from sitenet.features.store import FeatureStore
from sitenet.settings.training import ALL
from sitenet.training.batching import Indices, shuffled

logger = logging.getLogger("sitenet")

SUBSET_STREAM = 2**32  # random stream of the subset; the streams below it belong to the epochs


@dataclass(frozen=True)
class Labelled:
    """Crystals with known targets.

    Attributes:
        indices: (C,) index of each crystal in the feature store.
        targets: (C,) targets in the unit of the data set; NaN where only others are known.
        others: (C,) values of each further target that is learnt, in its unit; NaN is unknown.
    """

    indices: Indices
    targets: NDArray[np.float64]
    others: tuple[NDArray[np.float64], ...] = ()

    def __len__(self) -> int:  # noqa: D105
        return len(self.indices)

    @property
    def n_labelled(self) -> int:
        """Number of crystals with the target itself."""
        return len(known(self.targets))

    @property
    def table(self) -> NDArray[np.float64]:
        """(C, T) all targets, the one that is predicted first."""
        return np.column_stack([self.targets, *self.others])


def known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values that are not NaN."""
    return values[~np.isnan(values)]


@dataclass(frozen=True)
class TrainingData:
    """Training and validation crystals of a fold.

    Attributes:
        train: Crystals to train on, at most `max_crystals` of which have the target.
        validation: Crystals that select the best epoch.
        n_train_available: Number of training crystals with the target before `max_crystals` is applied.
        checksum: SHA-256 over the ids, targets and parts in the fold file, of what is learnt.
    """

    train: Labelled
    validation: Labelled
    n_train_available: int
    checksum: str


def read_fold(path: Path, others: Sequence[str] = ()) -> tuple[pd.DataFrame, list[str], str]:
    """What is learnt of a fold file, ordered by id, with the names of the further targets and its checksum."""
    frame = pd.read_parquet(path).sort_values("id")
    own = ["id", "target", "part"]
    further = frame.columns.drop(own).tolist() if ALL in others else list(others)
    frame = frame[[*own, *further]]
    frame = frame[(frame["part"] != "beside") | frame[further].notna().any(axis=1)]
    return frame, further, hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()


def subset(ids: "pd.Series[str]", max_crystals: int | None, seed: int) -> "pd.Series[str]":
    """At most so many of the training crystals with features, ordered by id; a smaller subset is in a larger one."""
    return ids.iloc[shuffled(len(ids), seed, SUBSET_STREAM)[:max_crystals]]


def read_training_data(
    path: Path, store: FeatureStore, max_crystals: int | None, seed: int, others: Sequence[str] = ()
) -> TrainingData:
    """Reads a fold file (columns id, target, part, and one for each further target).

    Crystals without features are left out; the failures table of the feature set lists them.

    Args:
        path: `train.parquet` of the fold.
        store: Features of all its crystals.
        max_crystals: Size of the random training subset; a smaller one is contained in a larger one.
        seed: Seed of the subset.
        others: Further targets that are learnt; `all` stands for all columns.

    Raises:
        UserError: A part is empty or a target is missing.
    """
    frame, others, checksum = read_fold(path, others)
    unlabelled = frame.loc[~np.isfinite(frame["target"]) & (frame["part"] != "beside"), "id"].tolist()
    if unlabelled:
        raise UserError(
            f"{path}: {len(unlabelled)} of {len(frame)} crystals have no finite target, {unlabelled[0]} among them; "
            "training needs one for every crystal"
        )
    there = store.has(frame["id"].tolist())
    if not there.all():
        logger.warning("%d of %d training crystals have no features and are left out", sum(~there), len(frame))
        frame = frame[there]
    train, validation = frame[frame["part"] == "train"], frame[frame["part"] == "validation"]
    if train.empty or validation.empty:
        raise UserError(
            f"{path}: {len(train)} crystals with features are in the part 'train' and {len(validation)} in "
            "'validation'; both need at least one"
        )
    if max_crystals is not None and max_crystals > len(train):
        logger.warning("max_crystals is %d, and there are %d training crystals: all are used", max_crystals, len(train))
    learnt = frame[frame["id"].isin(subset(train["id"], max_crystals, seed)) | (frame["part"] == "beside")]
    for name in others:
        if learnt[name].isna().all():
            raise UserError(f"{path}: no training crystal has the target '{name}' of training.other_targets")
    return TrainingData(
        train=_labelled(learnt, store, others),
        validation=_labelled(validation, store),
        n_train_available=len(train),
        checksum=checksum,
    )


def _labelled(frame: pd.DataFrame, store: FeatureStore, others: Sequence[str] = ()) -> Labelled:
    targets, *further = (frame[name].to_numpy(np.float64) for name in ("target", *others))
    return Labelled(store.indices_of(frame["id"].tolist()), targets, tuple(further))
