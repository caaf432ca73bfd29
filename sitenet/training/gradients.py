"""Forward and backward pass of a training step: a batch in, gradients of the weights out."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sitenet.models.base.batch import Batch
from sitenet.models.base.network import Network
from sitenet.settings.training import TrainingSettings

AUTOCAST = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Step:
    """What a step was like.

    Attributes:
        ids: Identifiers of its crystals.
        figures: (3,) mean loss, sum of errors, and 1 where loss and gradient are finite, else 0.
    """

    ids: tuple[str, ...]
    figures: Tensor


class Gradients:
    """Computes the gradient of the loss of a batch, clipped, into the weights' `grad`."""

    def __init__(
        self, model: Network, settings: TrainingSettings, optimiser: torch.optim.Optimizer, scaler: torch.amp.GradScaler
    ):
        self.model, self.settings = model, settings
        self._optimiser, self._scaler = optimiser, scaler

    def autocast(self) -> torch.autocast:
        """The precision of products of matrices."""
        device, precision = self.model.scale.target_std.device.type, self.settings.precision
        return torch.autocast(device, AUTOCAST[precision], enabled=precision != "float32")

    def __call__(self, batch: Batch, targets: Tensor) -> Tensor:
        """The `figures` of a step, on the device.

        Args:
            batch: C crystals.
            targets: (C,) their targets; NaN is padding, which counts for nothing.
        """
        known, scale = targets.isfinite(), self.model.scale
        with self.autocast():
            outputs = self.model(batch)
        targets = torch.where(known, targets, outputs.detach())  # no NaN reaches a gradient
        losses = scale.losses(self.settings.loss, outputs, targets)
        loss = torch.where(known, losses, 0).sum() / known.sum()
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(self._optimiser)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm or torch.inf)
        finite = loss.isfinite()
        # Float16 gradients overflow now and then by design; the gradient scaler skips such a step by itself.
        if not self._scaler.is_enabled():
            finite = finite & norm.isfinite()
        errors = torch.where(known, scale.errors(outputs.detach(), targets), 0)
        return torch.stack([loss.detach().double(), errors.double().sum(), finite.double()])
