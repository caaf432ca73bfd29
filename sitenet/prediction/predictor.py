"""Predictions of a trained network."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from sitenet.config.trial import Trial
from sitenet.data.crystal import Crystal
from sitenet.errors import UserError
from sitenet.features.featurize import expand_attention
from sitenet.features.point_set import PointSet
from sitenet.features.store import FeatureStore
from sitenet.models.base.batch import collate
from sitenet.models.base.network import Network, for_task
from sitenet.tasks import TASKS
from sitenet.training.allotment import DeviceName
from sitenet.training.batching import Indices, PointSets, infer
from sitenet.training.checkpoint import RunDescription, load_best
from sitenet.training.device import choose_device, configure_torch
from sitenet.training.state import Best

logger = logging.getLogger("sitenet")


@dataclass(frozen=True)
class Predictor:
    """A trained network with the description of its run, and the epoch of its weights if it is known."""

    description: RunDescription
    best: Best | None
    trial: Trial
    model: Network
    device: torch.device

    @classmethod
    def load(cls, checkpoint: Path, device: DeviceName = "auto") -> Self:
        """Loads a `best.pt`; torch's settings stay as they are.

        Raises:
            UserError: The checkpoint is not readable, is of an incompatible version, or the requested GPU is absent.
        """
        target_device = choose_device(device)
        description, best, weights = load_best(checkpoint)
        try:
            trial = description.trial
        except UserError as error:
            raise UserError(f"{checkpoint}: {error}") from None
        with torch.random.fork_rng(devices=[]):  # the weights that a new network draws are replaced
            model = for_task(trial.build(description.non_negative), TASKS[description.task])
        try:
            model.load_state_dict(weights)
        except RuntimeError:
            trained = description.packages.get("sitenet", "(unknown version)")
            problem = f"weights of sitenet {trained} (training stage {description.stages['train']})"
            raise UserError(
                f"{checkpoint}: {problem} do not fit the network of this version; use that version, or train again"
            ) from None
        return cls(description, best, trial, model.to(target_device).eval(), target_device)

    def predict(self, point_sets: PointSets, indices: Indices) -> NDArray[np.float64]:
        """(C,) predictions in the unit of the target, in the order of `indices`.

        Raises:
            UserError: A prediction is not finite.
        """
        return infer(self.model, point_sets, indices, self.trial.training.batch_pairs, self.device)

    @torch.inference_mode()
    def attention(self, crystal: Crystal, point_set: PointSet) -> list[NDArray[np.floating]]:
        """Attention weights of each block over all supercell sites, (P, S, H) each; see `expand_attention`."""
        weights = self.model.attention(collate([point_set], torch.float32).to(self.device))
        return [expand_attention(crystal, self.trial.features, block.cpu().numpy()) for block in weights]


def predict(
    checkpoint: Path, store: FeatureStore, ids: Sequence[str], device: DeviceName = "auto", threads: int = 1
) -> pd.DataFrame:
    """Predicts crystals with the weights of a `best.pt`.

    For crystals without features the mean of the training targets is predicted, so that all models are scored on
    the same crystals. The log counts them.

    Args:
        checkpoint: The `best.pt`.
        store: Features of the crystals, computed with the checkpoint's feature settings.
        ids: Crystals to predict.
        device: Where to compute.
        threads: Number of torch threads.

    Returns:
        Columns id and prediction (in the checkpoint's unit), in the order of `ids`.

    Raises:
        UserError: The checkpoint is not readable, a prediction is not finite or the requested GPU is absent.
    """
    predictor = Predictor.load(checkpoint, device)
    configure_torch(predictor.device, threads, predictor.description.key.seed)
    known = store.has(ids)
    if not known.all():
        logger.warning(
            "%d of %d crystals have no features; the mean of the training targets is predicted", sum(~known), len(ids)
        )
    indices = store.indices_of([id_ for id_, has_features in zip(ids, known, strict=True) if has_features])
    predictions = np.full(len(ids), predictor.description.mean_target, dtype=float)
    predictions[known] = predictor.predict(store, indices)
    return pd.DataFrame({"id": list(ids), "prediction": predictions})
