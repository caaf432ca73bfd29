import itertools
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sitenet.errors import UserError
from sitenet.features.store import FeatureStore
from sitenet.models.base.batch import Batch
from sitenet.models.base.network import LOSSES
from sitenet.models.sitenet.network import SiteNet
from sitenet.settings.training import TrainingSettings
from sitenet.training import trainer as trainer_module
from sitenet.training.batching import infer
from sitenet.training.progress import progress_line
from sitenet.training.state import TrainingState
from sitenet.training.trainer import SKIP_LIMIT, Trainer
from sitenet.training.training_data import TrainingData, read_training_data
from tests.training_case import NETWORK, RECIPE, write_inputs

CPU = torch.device("cpu")
STILL = 1e-30  # a learning rate that changes no weight


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[FeatureStore, TrainingData]:
    inputs = write_inputs(tmp_path_factory.mktemp("inputs"))
    store = FeatureStore([inputs.shard])
    return store, read_training_data(inputs.fold_table, store, None, 0)


def skip() -> None:
    """Nothing to do after a step or an epoch."""


def fitted(data: tuple[FeatureStore, TrainingData], seed: int = 0, **recipe: Any) -> Trainer:
    trainer = new_trainer(data, seed, **recipe)
    trainer.fit(after_step=skip, after_epoch=skip)
    return trainer


def new_trainer(data: tuple[FeatureStore, TrainingData], seed: int = 0, **recipe: Any) -> Trainer:
    torch.manual_seed(seed)
    return Trainer(SiteNet(NETWORK, True), TrainingSettings(**RECIPE | recipe), *data, seed, CPU)


@pytest.mark.parametrize("batch_pairs", [1, 70, 10**6])
@pytest.mark.parametrize(("loss", "power"), [("l1", 1), ("mse", 2)])
def test_metrics_are_means_over_crystals_whatever_the_batches(
    data: tuple[FeatureStore, TrainingData], batch_pairs: int, loss: str, power: int
) -> None:
    trainer = fitted(data, max_epochs=1, learning_rate=STILL, batch_pairs=batch_pairs, loss=loss)
    store, fold = data
    errors = [
        infer(trainer.model, store, part.indices, 500, CPU) - part.targets for part in (fold.train, fold.validation)
    ]
    row = trainer.state.history[0]
    assert row.train_error == pytest.approx(abs(errors[0]).mean(), rel=1e-5)
    assert row.train_loss == pytest.approx((abs(errors[0]) ** power).mean(), rel=1e-5)
    assert row.validation_error == pytest.approx(abs(errors[1]).mean(), rel=1e-5)


def test_predictions_keep_the_order_asked_for(data: tuple[FeatureStore, TrainingData]) -> None:
    store, fold = data
    model = new_trainer(data).model
    indices = fold.train.indices[::-1]
    alone = [infer(model, store, indices[i : i + 1], 1, CPU)[0] for i in range(len(indices))]
    np.testing.assert_allclose(infer(model, store, indices, 300, CPU), alone, rtol=1e-5)


def test_training_lowers_the_error(data: tuple[FeatureStore, TrainingData]) -> None:
    history = fitted(data, max_epochs=15).state.history
    assert history[-1].train_error is not None
    assert history[0].train_error is not None
    assert history[-1].train_error < 0.7 * history[0].train_error


@pytest.mark.parametrize("schedule", ["constant", "one_cycle", "cosine"])
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16", "float16"])
def test_every_recipe_steps(data: tuple[FeatureStore, TrainingData], schedule: str, precision: str) -> None:
    trainer = new_trainer(data, max_epochs=2, schedule=schedule, precision=precision)
    before = [parameter.clone() for parameter in trainer.model.parameters()]
    trainer.fit(after_step=skip, after_epoch=skip)
    after = list(trainer.model.parameters())
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert all(parameter.isfinite().all() for parameter in after)
    assert trainer.state.skipped == 0


def test_tf32_holds_in_steps_alone(data: tuple[FeatureStore, TrainingData], monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation and later work of the process keep all bits; on a CPU steps do, too."""
    trainer, other = (new_trainer(data, max_epochs=1, precision=precision) for precision in ("tf32", "float32"))
    allowed: list[bool] = []
    forward = trainer.model.forward

    def watched(batch: Batch) -> Tensor:
        allowed.append(torch.backends.cuda.matmul.allow_tf32)
        return forward(batch)

    monkeypatch.setattr(trainer.model, "forward", watched)
    for one in (trainer, other):
        one.fit(after_step=skip, after_epoch=skip)
    steps = trainer.state.history[-1]
    assert steps.train_error == other.state.history[-1].train_error
    assert allowed == sorted(allowed, reverse=True)
    assert {True, False} == set(allowed)
    assert not torch.backends.cuda.matmul.allow_tf32


@pytest.mark.parametrize("amsgrad", [True, False])
def test_the_optimiser_follows_the_recipe(data: tuple[FeatureStore, TrainingData], amsgrad: bool) -> None:
    """A few steps do not show these: gradients must fall far before AMSGrad differs."""
    trainer = fitted(data, max_epochs=1, amsgrad=amsgrad, epsilon=1e-3, weight_decay=0.3, learning_rate=STILL)
    (group,) = trainer.tensors()["optimiser"]["param_groups"]
    assert (group["amsgrad"], group["eps"], group["weight_decay"]) == (amsgrad, 1e-3, 0.3)
    assert (group["lr"], group["betas"]) == (STILL, (0.9, 0.999))


def test_standardised_targets_start_at_their_mean(data: tuple[FeatureStore, TrainingData]) -> None:
    targets = data[1].train.targets
    scale = fitted(data, max_epochs=1, standardise_target=True).model.scale
    assert float(scale.target_mean) == pytest.approx(targets.mean())
    assert float(scale.target_std) == pytest.approx(targets.std())


def test_standardised_loss_is_in_units_of_the_standard_deviation(data: tuple[FeatureStore, TrainingData]) -> None:
    row = fitted(data, max_epochs=1, learning_rate=STILL, standardise_target=True).state.history[0]
    assert row.train_loss is not None
    assert row.train_error == pytest.approx(row.train_loss * data[1].train.targets.std(), rel=1e-5)


def test_best_is_the_lowest_point_of_both_curves(data: tuple[FeatureStore, TrainingData]) -> None:
    trainer = fitted(data, max_epochs=8, learning_rate=0.05)
    points = [
        (mae, row.epoch, averaged)
        for row in trainer.state.history
        for mae, averaged in [(row.validation_error, False), (row.validation_error_ema, True)]
        if mae is not None
    ]
    best = trainer.state.best
    assert best is not None
    assert (best.validation_error, best.epoch, best.averaged) == min(points)


@pytest.mark.parametrize("ema_decay", [None, 0.5])
def test_best_weights_reproduce_the_best_error(
    data: tuple[FeatureStore, TrainingData], ema_decay: float | None
) -> None:
    trainer = fitted(data, max_epochs=8, learning_rate=0.05, ema_decay=ema_decay)
    trainer.model.load_state_dict(trainer.best_weights)
    store, fold = data
    errors = infer(trainer.model, store, fold.validation.indices, 500, CPU) - fold.validation.targets
    assert trainer.state.best is not None
    assert trainer.state.best.validation_error == pytest.approx(abs(errors).mean(), rel=1e-5)


def test_no_average_means_no_second_curve(data: tuple[FeatureStore, TrainingData]) -> None:
    assert fitted(data, max_epochs=1, ema_decay=None).state.history[0].validation_error_ema is None


def test_patience_stops_when_nothing_improves(data: tuple[FeatureStore, TrainingData]) -> None:
    trainer = fitted(data, max_epochs=50, patience=2, learning_rate=STILL, ema_decay=None)
    assert trainer.state.epochs == 3


def test_time_limit_ends_the_run_and_shapes_the_schedule(
    data: tuple[FeatureStore, TrainingData], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count()
    monkeypatch.setattr(trainer_module, "monotonic", lambda: float(next(seconds)))
    trainer = fitted(data, max_epochs=10**6, max_minutes=1, schedule="cosine", final_rate_share=0.0)
    rates = [row.learning_rate for row in trainer.state.history]
    assert trainer.state.seconds == pytest.approx(60, abs=2)
    assert rates[-1] < 0.02 * max(rates)
    assert trainer.state.history[-1].seconds == trainer.state.seconds


def test_time_limit_counts_what_earlier_processes_spent(
    data: tuple[FeatureStore, TrainingData], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count()
    monkeypatch.setattr(trainer_module, "monotonic", lambda: float(next(seconds)))
    spent = fitted(data, max_epochs=10**6, max_minutes=0.5)
    resumed = new_trainer(data, max_epochs=10**6, max_minutes=1)
    resumed.restore(TrainingState.from_dict(spent.state.to_dict()), spent.tensors())
    start = next(seconds)
    resumed.fit(skip, skip)
    assert next(seconds) - start == pytest.approx(30, abs=3)
    assert resumed.state.seconds == pytest.approx(60, abs=2)
    assert resumed.state.epochs > spent.state.epochs > 1


def test_a_spent_time_limit_still_leaves_a_validated_network(data: tuple[FeatureStore, TrainingData]) -> None:
    trainer = fitted(data, max_minutes=1e-9)
    assert trainer.state.epochs == 1
    assert trainer.best_weights


def test_seed_decides_every_bit(data: tuple[FeatureStore, TrainingData]) -> None:
    one, same, other = (fitted(data, seed, max_epochs=2).model.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def batches_that_fail(monkeypatch: pytest.MonkeyPatch, numbers: Collection[int], where: str = "loss") -> None:
    """These batches from now on, counted from 0, have a loss or a gradient that is not finite."""
    calls = itertools.count()

    def loss(predictions: Tensor, targets: Tensor, reduction: str) -> Tensor:
        fails = next(calls) in numbers
        if fails and where == "gradient":
            predictions.register_hook(lambda gradient: gradient * torch.nan)
        factor = torch.nan if fails and where == "loss" else 1.0
        return factor * torch.nn.functional.l1_loss(predictions, targets, reduction=reduction)

    monkeypatch.setitem(LOSSES, "l1", loss)


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_batch_that_is_not_finite_is_skipped_and_named(
    data: tuple[FeatureStore, TrainingData],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    where: str,
) -> None:
    batches_that_fail(monkeypatch, {1}, where)
    trainer = fitted(data, max_epochs=1)
    (record,) = caplog.records
    named = set(record.getMessage().split("batch of ")[1].split(";")[0].split(", "))
    assert named < set(data[0].ids)
    assert trainer.state.skipped == 1
    assert all(parameter.isfinite().all() for parameter in trainer.model.parameters())


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_training_stops_when_no_loss_is_finite(data: tuple[FeatureStore, TrainingData], precision: str) -> None:
    """At the limit, before the epoch is over: a validation with such a network would stop it too."""
    trainer = new_trainer(data, max_epochs=50, precision=precision, batch_pairs=1)
    assert len(data[1].train) > SKIP_LIMIT
    with torch.no_grad():
        trainer.model.get_parameter("output.bias").fill_(torch.nan)
    with pytest.raises(UserError, match=rf"training stops after {SKIP_LIMIT} such batches: lower"):
        trainer.fit(after_step=skip, after_epoch=skip)
    assert trainer.state.skipped == SKIP_LIMIT
    assert (trainer.state.epochs, trainer.state.epoch.batches) == (0, SKIP_LIMIT)


def test_fewer_skipped_batches_than_the_limit_stop_nothing(
    data: tuple[FeatureStore, TrainingData], monkeypatch: pytest.MonkeyPatch
) -> None:
    batches_that_fail(monkeypatch, range(SKIP_LIMIT - 1))
    trainer = fitted(data, max_epochs=2, batch_pairs=1)
    assert (trainer.state.epochs, trainer.state.skipped) == (2, SKIP_LIMIT - 1)


def test_the_skip_limit_counts_what_earlier_processes_skipped(
    data: tuple[FeatureStore, TrainingData], monkeypatch: pytest.MonkeyPatch
) -> None:
    batches_that_fail(monkeypatch, range(SKIP_LIMIT - 1))
    before = fitted(data, max_epochs=1, batch_pairs=1)
    resumed = new_trainer(data, max_epochs=2, batch_pairs=1)
    resumed.restore(TrainingState.from_dict(before.state.to_dict()), before.tensors())
    batches_that_fail(monkeypatch, {0})
    with pytest.raises(UserError, match="training stops after"):
        resumed.fit(skip, skip)


def test_half_precision_goes_on_with_the_scale_that_an_overflow_left(
    data: tuple[FeatureStore, TrainingData], monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = new_trainer(data, precision="float16").tensors()["scaler"]["scale"]
    batches_that_fail(monkeypatch, {0}, "gradient")
    before = fitted(data, max_epochs=1, precision="float16")
    resumed = new_trainer(data, max_epochs=2, precision="float16")
    resumed.restore(TrainingState.from_dict(before.state.to_dict()), before.tensors())
    assert resumed.tensors()["scaler"] == before.tensors()["scaler"]
    assert resumed.tensors()["scaler"]["scale"] == fresh / 2


def test_progress_line_tells_errors_speed_and_time_left(data: tuple[FeatureStore, TrainingData]) -> None:
    line = progress_line(fitted(data, max_epochs=1), "eV")
    assert line.startswith("epoch 1/1, train MAE ")
    assert "eV (best " in line
    assert line.endswith("crystals/s, 0:00 left")


def test_steps_and_epochs_are_told(data: tuple[FeatureStore, TrainingData]) -> None:
    trainer, seen = new_trainer(data, max_epochs=2), list[tuple[int, int]]()

    def tell() -> None:
        seen.append((trainer.state.epochs, trainer.state.epoch.batches))

    trainer.fit(tell, tell)
    assert seen[0] == (0, 1)
    assert seen[-1] == (2, 0)
    assert seen == sorted(set(seen))


def test_mid_epoch_progress_line(data: tuple[FeatureStore, TrainingData]) -> None:
    trainer, lines = new_trainer(data, max_epochs=1), list[str]()
    trainer.fit(lambda: lines.append(progress_line(trainer, "eV")), skip)
    assert lines[0].startswith("epoch 1/1 ")
    assert "% done, train MAE" in lines[0]


def test_inference_refuses_what_is_not_finite(data: tuple[FeatureStore, TrainingData], tmp_path: Path) -> None:
    store, fold = data
    model = new_trainer(data).model
    with torch.no_grad():
        model.get_parameter("output.bias").fill_(torch.nan)
    with pytest.raises(UserError, match="predictions of 8 crystals are not finite, mp-"):
        infer(model, store, fold.validation.indices, 500, CPU)
