"""From a network's raw number to a prediction in the unit of the target."""

import torch
from torch import Tensor, nn


def clamp_straight_through(values: Tensor) -> Tensor:
    """max(values, 0) whose gradient is that of the identity.

    A band gap is never negative, but a crystal predicted below 0 must still be able to learn.
    """
    return values + (values.clamp(min=0) - values).detach()


class TargetScale(nn.Module):
    """prediction = target_mean + target_std * raw, clamped at 0 for targets that cannot be negative.

    The training loop sets the buffers `target_mean` and `target_std`; they are saved with the weights.

    Args:
        non_negative: The target cannot be negative, e.g. a band gap; comes from the data set.
    """

    target_mean: Tensor
    target_std: Tensor

    def __init__(self, non_negative: bool):
        super().__init__()
        self.non_negative = non_negative
        self.register_buffer("target_mean", torch.tensor(0.0))
        self.register_buffer("target_std", torch.tensor(1.0))

    def forward(self, raw: Tensor) -> Tensor:
        """(C,) predictions of (C,) raw numbers, in the precision of the buffers."""
        scaled = self.target_mean + self.target_std * raw.to(self.target_std.dtype)
        return clamp_straight_through(scaled) if self.non_negative else scaled
