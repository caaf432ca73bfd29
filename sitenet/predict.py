"""Predictions of a trained network."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from sitenet.config.models import SiteNetSettings
from sitenet.config.training import TrainingSettings
from sitenet.features.store import FeatureStore
from sitenet.model import build_model
from sitenet.training.checkpoint import load_best
from sitenet.training.device import DeviceName, choose_device, configure_torch
from sitenet.training.fold import has_features, store_indices
from sitenet.training.inference import infer

logger = logging.getLogger("sitenet")


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
    target_device = choose_device(device)
    description, _, weights = load_best(checkpoint)
    configure_torch(target_device, threads, description.key.seed)
    model = build_model(SiteNetSettings(**description.section("model")), description.non_negative)
    model.load_state_dict(weights)
    batch_pairs = TrainingSettings(**description.section("training")).batch_pairs
    usable = has_features(store, ids)
    if not usable.all():
        logger.warning("%d of %d crystals have no features; the training mean is predicted", sum(~usable), len(ids))
    indices = store_indices(store, [id_ for id_, known in zip(ids, usable, strict=True) if known])
    predictions = np.full(len(ids), description.mean_target)
    predictions[usable] = infer(model.to(target_device), store, indices, batch_pairs, target_device)
    return pd.DataFrame({"id": list(ids), "prediction": predictions})
