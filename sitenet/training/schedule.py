"""Schedules of learning rate and momentum."""

import math

from sitenet.settings.training import TrainingSettings

WARMUP_START = 1 / 25
ONE_CYCLE_MOMENTUM = (0.85, 0.95)
MOMENTUM = 0.9


def learning_rate(settings: TrainingSettings, share: float) -> float:
    """Learning rate when a fraction `share` (0 to 1) of the run is completed.

    Every warm-up starts at 1/25 of the peak. `cosine` warms up linearly and decays along a half cosine (Loshchilov
    and Hutter, ICLR 2017, without restarts). `linear` warms up and decays linearly. `one_cycle` warms up and decays
    along half cosines (Smith and Topin, 2018, as in PyTorch).
    """
    peak, warmup, end = settings.learning_rate, settings.warmup_share, settings.final_rate_share
    if settings.schedule == "constant":
        return peak
    if share >= warmup:
        fall = _linear if settings.schedule == "linear" else _half_cosine
        return peak * fall(1.0, end, (share - warmup) / (1 - warmup))
    rise = _half_cosine if settings.schedule == "one_cycle" else _linear
    return peak * rise(WARMUP_START, 1.0, share / warmup)


def momentum(settings: TrainingSettings, share: float) -> float:
    """Momentum (beta_1) of AdamW; `one_cycle` lowers it while the learning rate is high."""
    if settings.schedule != "one_cycle":
        return MOMENTUM
    (low, high), warmup = ONE_CYCLE_MOMENTUM, settings.warmup_share
    if share < warmup:
        return _half_cosine(high, low, share / warmup)
    return _half_cosine(low, high, (share - warmup) / (1 - warmup))


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


def _linear(start: float, end: float, share: float) -> float:
    return start + (end - start) * min(share, 1.0)
