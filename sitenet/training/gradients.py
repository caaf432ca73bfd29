"""Forward and backward pass of a training step: a batch in, gradients of the weights out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sitenet.models.base.batch import Batch
from sitenet.models.base.network import Network, PairNetwork, TargetScale
from sitenet.settings.training import TrainingSettings

HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Step:
    """What a step was like.

    Attributes:
        ids: Identifiers of its crystals.
        figures: (4,) of the target mean loss and sum of errors; 1 where loss and gradient are finite, else 0; and the
            number of crystals that have the target.
    """

    ids: tuple[str, ...]
    figures: Tensor


class Gradients:
    """Computes the gradient of the loss of a batch, clipped, into the weights' `grad`.

    The loss is that of the target, plus the mean over further targets of theirs.

    Args:
        model: The network.
        settings: Loss, clipping and precision.
        optimiser: Changes the weights.
        scaler: Scales the loss in half precision.
        read_outs: For each further target a network without its sites, which reads those of `model`.
    """

    def __init__(
        self,
        model: Network,
        settings: TrainingSettings,
        optimiser: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        read_outs: Sequence[PairNetwork] = (),
    ):
        self.model, self.settings = model, settings
        self.learnt = nn.ModuleList([model, *read_outs])
        self._read_outs = read_outs
        self._optimiser, self._scaler = optimiser, scaler

    def autocast(self) -> torch.autocast:
        """Half precision of products of matrices, if that is the setting."""
        device, dtype = self.model.scale.target_std.device.type, HALF.get(self.settings.precision)
        return torch.autocast(device, dtype, enabled=dtype is not None)

    def __call__(self, batch: Batch, targets: Tensor) -> Tensor:
        """The `figures` of a step, on the device; see `_step`."""
        with _products_in_tf32(self.settings.precision == "tf32"):
            return self._step(batch, targets)

    def _step(self, batch: Batch, targets: Tensor) -> Tensor:
        """The `figures` of a step, on the device.

        Args:
            batch: C crystals.
            targets: (C, T) their targets, that of the network first; NaN is unknown or padding and counts for nothing.
        """
        with self.autocast():
            outputs = self._outputs(batch)
        scales = [self.model.scale, *(network.scale for network in self._read_outs)]
        own, *others = (self._mean_loss(*one) for one in zip(scales, outputs, targets.unbind(1), strict=True))
        loss = own + torch.stack(others).mean() if others else own
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(self._optimiser)
        norm = nn.utils.clip_grad_norm_(self.learnt.parameters(), self.settings.clip_norm or torch.inf)
        finite = loss.isfinite()
        # Float16 gradients overflow now and then by design; the gradient scaler skips such a step by itself.
        if not self._scaler.is_enabled():
            finite = finite & norm.isfinite()
        known, filled = _filled(outputs[0], targets[:, 0])
        errors = torch.where(known, self.model.scale.errors(outputs[0].detach(), filled), 0)
        return torch.stack([own.detach().double(), errors.double().sum(), finite.double(), known.sum().double()])

    def _outputs(self, batch: Batch) -> list[Tensor]:
        """(C,) outputs for each target; the sites are computed once."""
        if not self._read_outs:
            return [self.model(batch)]
        assert isinstance(self.model, PairNetwork)
        pooled = (self.model.site_states(batch), batch.site_counts, batch.site_crystal, batch.n_crystals)
        return [network.predict_pooled(*pooled) for network in (self.model, *self._read_outs)]

    def _mean_loss(self, scale: TargetScale, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean loss of the crystals with a known target, of which a batch may have none."""
        known, filled = _filled(outputs, targets)
        losses = scale.losses(self.settings.loss, outputs, filled)
        return torch.where(known, losses, 0).sum() / known.sum().clamp(min=1)


@contextmanager
def _products_in_tf32(chosen: bool) -> Iterator[None]:
    """Lets a GPU round the factors of float32 products to ten bits; a CPU does not."""
    matmul = torch.backends.cuda.matmul
    before, matmul.allow_tf32 = matmul.allow_tf32, chosen
    try:
        yield
    finally:
        matmul.allow_tf32 = before


def _filled(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Which targets are known, and targets in which no NaN is left that could reach a gradient."""
    known = targets.isfinite()
    return known, torch.where(known, targets, outputs.detach())
