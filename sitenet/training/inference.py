"""Predictions of a network for crystals of a feature store."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sitenet.errors import UserError
from sitenet.training.batching import Indices, PointSets, load_batches, pair_batches


@torch.inference_mode()
def infer(
    model: nn.Module, store: PointSets, indices: Indices, batch_pairs: int, device: torch.device
) -> NDArray[np.float64]:
    """(C,) predictions in the unit of the target, in the order of `indices`, always in float32.

    Args:
        model: Network on `device`.
        store: Features.
        indices: (C,) crystals of the store.
        batch_pairs: Most reduced pairs in a batch.
        device: Where to compute.

    Raises:
        UserError: A prediction is not finite.
    """
    by_size = np.argsort(store.n_pairs[indices], kind="stable")
    ordered = indices[by_size]
    batches = [ordered[batch] for batch in pair_batches(store.n_pairs[ordered], batch_pairs)]
    training = model.training
    model.eval()
    outputs = [model(batch.to(device)).double().cpu().numpy() for batch in load_batches(store, batches)]
    model.train(training)
    predictions = np.empty(len(indices))
    predictions[by_size] = np.concatenate([np.empty(0), *outputs])
    if not np.isfinite(predictions).all():
        bad = indices[~np.isfinite(predictions)]
        raise UserError(f"predictions of {len(bad)} crystals are not finite, {store.ids[int(bad[0])]} among them")
    return predictions
