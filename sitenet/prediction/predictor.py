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
from sitenet.models.base.network import Network
from sitenet.training.batching import Indices, PointSets, infer
from sitenet.training.checkpoint import RunDescription, load_best
from sitenet.training.device import DeviceName, choose_device, configure_torch

logger = logging.getLogger("sitenet")


@dataclass(frozen=True)
class Predictor:
    """A trained network with what it belongs to."""

    description: RunDescription
    trial: Trial
    model: Network
    device: torch.device

    @classmethod
    def load(cls, checkpoint: Path, device: DeviceName = "auto", threads: int = 1) -> Self:
        """Loads a `best.pt`.

        Raises:
            UserError: The checkpoint is not readable or the requested GPU is absent.
        """
        target_device = choose_device(device)
        description, _, weights = load_best(checkpoint)
        configure_torch(target_device, threads, description.key.seed)
        trial = description.trial
        model = trial.build(description.non_negative)
        try:
            model.load_state_dict(weights)
        except RuntimeError:
            made = description.packages.get("sitenet", "unknown")
            problem = f"weights of sitenet {made} (training stage {description.stages['train']})"
            raise UserError(f"{checkpoint}: {problem} do not fit the network that this version builds") from None
        return cls(description, trial, model.to(target_device).eval(), target_device)

    def predict(self, point_sets: PointSets, indices: Indices) -> NDArray[np.float64]:
        """(C,) predictions in the unit of the target, in the order of `indices`.

        Raises:
            UserError: A prediction is not finite.
        """
        return infer(self.model, point_sets, indices, self.trial.training.batch_pairs, self.device)

    @torch.inference_mode()
    def attention(self, crystal: Crystal, point_set: PointSet) -> list[NDArray[np.floating]]:
        """Attention of each block over all supercell sites, (P, S, H) each; see `expand_attention`."""
        weights = self.model.attention(collate([point_set], torch.float32).to(self.device))
        return [expand_attention(crystal, self.trial.features, block.cpu().numpy()) for block in weights]


def predict(
    checkpoint: Path, store: FeatureStore, ids: Sequence[str], device: DeviceName = "auto", threads: int = 1
) -> pd.DataFrame:
    """Predicts crystals with the weights of a `best.pt`.

    A crystal without features gets the mean target of the training crystals, so that every model is scored on
    the same crystals; the log counts them.

    Args:
        checkpoint: The file.
        store: Features of the crystals, made with the checkpoint's feature settings.
        ids: Crystals to predict.
        device: Where to compute.
        threads: Threads of torch.

    Returns:
        Columns id and prediction (in the checkpoint's unit), in the order of `ids`.

    Raises:
        UserError: The checkpoint is not readable, a prediction is not finite or the requested GPU is absent.
    """
    predictor = Predictor.load(checkpoint, device, threads)
    known = store.has(ids)
    if not known.all():
        logger.warning("%d of %d crystals have no features; the training mean is predicted", sum(~known), len(ids))
    indices = store.indices_of([id_ for id_, has_features in zip(ids, known, strict=True) if has_features])
    predictions = np.full(len(ids), predictor.description.mean_target)
    predictions[known] = predictor.predict(store, indices)
    return pd.DataFrame({"id": list(ids), "prediction": predictions})
