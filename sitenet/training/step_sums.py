"""Sums over training steps that stay on the device until they are asked for."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sitenet.training.gradients import Step

MOST = 100  # steps on a GPU between two times that the host waits for it; a CPU has nothing to wait for


@dataclass(frozen=True)
class Sums:
    """Sums over the steps whose loss and gradient were finite, and the ids of the batches of the others."""

    crystals: int
    loss: float
    error: float
    skipped: list[tuple[str, ...]]


class StepSums:
    """Losses and errors of the latest steps."""

    def __init__(self, device: torch.device):
        self._most = 1 if device.type == "cpu" else MOST
        self._ids: list[tuple[str, ...]] = []
        self._steps: list[Tensor] = []

    @property
    def full(self) -> bool:
        """Whether it is time to `take` them."""
        return len(self._ids) >= self._most

    def add(self, step: Step) -> None:
        """Adds a step."""
        self._ids.append(step.ids)
        self._steps.append(step.figures)

    def take(self) -> Sums:
        """The sums since the last time, in the order of the steps; waits for the device."""
        crystals, loss, error, skipped = 0, 0.0, 0.0, []
        steps = torch.stack(self._steps).tolist() if self._steps else []
        for ids, (step_loss, step_error, finite, n) in zip(self._ids, steps, strict=True):
            if finite:
                crystals += int(n)
                loss += step_loss * n
                error += step_error
            else:
                skipped.append(ids)
        self._ids, self._steps = [], []
        return Sums(crystals, loss, error, skipped)
