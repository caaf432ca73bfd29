"""Learning rate and momentum as functions of the share of the run that is over."""

import math

from sitenet.config.training import TrainingSettings

WARMUP_START = 1 / 25
ONE_CYCLE_MOMENTUM = (0.85, 0.95)
MOMENTUM = 0.9


def learning_rate(settings: TrainingSettings, progress: float) -> float:
    """Learning rate when `progress` (0 to 1) of the run is over.

    All warm-ups start at 1/25 of the peak. `cosine` rises linearly and falls along a half cosine (Loshchilov
    and Hutter, ICLR 2017, without restarts); `linear` rises and falls linearly; `one_cycle` rises and falls along
    half cosines (Smith and Topin, 2018, as in PyTorch).
    """
    peak, warmup, end = settings.learning_rate, settings.warmup_share, settings.final_rate_share
    if settings.schedule == "constant":
        return peak
    if progress >= warmup:
        fall = _straight if settings.schedule == "linear" else _half_cosine
        return peak * fall(1.0, end, (progress - warmup) / (1 - warmup))
    rise = _half_cosine if settings.schedule == "one_cycle" else _straight
    return peak * rise(WARMUP_START, 1.0, progress / warmup)


def momentum(settings: TrainingSettings, progress: float) -> float:
    """First moment's decay of AdamW; `one_cycle` lowers it while the learning rate is high."""
    if settings.schedule != "one_cycle":
        return MOMENTUM
    (low, high), warmup = ONE_CYCLE_MOMENTUM, settings.warmup_share
    if progress < warmup:
        return _half_cosine(high, low, progress / warmup)
    return _half_cosine(low, high, (progress - warmup) / (1 - warmup))


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


def _straight(start: float, end: float, share: float) -> float:
    return start + (end - start) * min(share, 1.0)
