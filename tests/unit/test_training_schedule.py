from typing import Literal

import pytest
import torch

from sitenet.settings.training import TrainingSettings
from sitenet.training.schedule import WARMUP_START, learning_rate, momentum

STEPS = 100


def test_constant_never_changes() -> None:
    settings = TrainingSettings(learning_rate=0.5)
    assert {learning_rate(settings, share) for share in (0.0, 0.05, 0.5, 1.0, 1.2)} == {0.5}


def test_one_cycle_is_that_of_torch() -> None:
    settings = TrainingSettings(schedule="one_cycle", learning_rate=0.3, warmup_share=0.25, final_rate_share=0.02)
    optimiser = torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 0.3, total_steps=STEPS + 1, pct_start=26 / 101, final_div_factor=WARMUP_START / 0.02
    )
    for step in range(STEPS + 1):
        group = optimiser.param_groups[0]
        assert learning_rate(settings, step / STEPS) == pytest.approx(group["lr"])
        assert momentum(settings, step / STEPS) == pytest.approx(group["betas"][0])
        optimiser.step()
        if step < STEPS:
            scheduler.step()


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_linear_warmups_with_either_fall_are_those_of_torch(schedule: Literal["cosine", "linear"]) -> None:
    settings = TrainingSettings(schedule=schedule, learning_rate=0.3, warmup_share=0.2, final_rate_share=0.1)
    optimiser = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=0.3)
    warmup = torch.optim.lr_scheduler.LinearLR(optimiser, WARMUP_START, total_iters=20)
    falls: dict[str, torch.optim.lr_scheduler.LRScheduler] = {
        "cosine": torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=80, eta_min=0.03),
        "linear": torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.1, total_iters=80),
    }
    scheduler = torch.optim.lr_scheduler.SequentialLR(optimiser, [warmup, falls[schedule]], milestones=[20])
    for step in range(STEPS + 1):
        assert learning_rate(settings, step / STEPS) == pytest.approx(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    assert learning_rate(settings, 1.2) == pytest.approx(0.03)  # a run by the clock overshoots


def test_no_warmup_starts_at_the_peak() -> None:
    settings = TrainingSettings(schedule="cosine", learning_rate=0.3, warmup_share=0.0)
    assert learning_rate(settings, 0.0) == pytest.approx(0.3)
