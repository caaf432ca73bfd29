"""Networks that learn further targets beside their own, of which crystals may lack some."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from sitenet.errors import UserError
from sitenet.features.store import FeatureStore
from sitenet.history import read_history
from sitenet.models.base.network import Network, PairNetwork, for_task
from sitenet.models.registry import kinds_of_role, model_kinds
from sitenet.prediction.predictor import predict
from sitenet.settings.section import Section
from sitenet.settings.training import TrainingSettings
from sitenet.tasks import CLASSIFICATION
from sitenet.training import run as run_module
from sitenet.training.checkpoint import load_best
from sitenet.training.recorded import RecordedGradients, Size
from sitenet.training.resident import ResidentPointSets
from sitenet.training.run import train
from sitenet.training.trainer import Trainer
from sitenet.training.training_data import Labelled, TrainingData, read_training_data
from tests.training_case import (
    CGCNN_NETWORK,
    NETWORK,
    RADIAL_NETWORK,
    RECIPE,
    SCHNET_NETWORK,
    Inputs,
    write_inputs,
)

CPU = torch.device("cpu")
OTHERS = ("heavy", "rare")
NETWORKS: dict[str, Section] = {
    "sitenet": NETWORK.model_copy(update={"elemental_scaling": "standardised"}),
    "sitenet_radial": RADIAL_NETWORK,
    "cgcnn": CGCNN_NETWORK,
    "schnet": SCHNET_NETWORK,
}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Forty crystals: four lack the gap and teach the others alone, and two in three lack the rare target."""
    found = write_inputs(tmp_path_factory.mktemp("inputs"))
    frame = pd.read_parquet(found.fold_table)
    number = np.arange(len(frame))
    frame["heavy"] = 100.0 + 10.0 * np.sin(number)
    frame["rare"] = np.where(number % 3 == 0, np.cos(number), np.nan)
    beside = number % 10 == 6
    frame.loc[beside, "target"] = np.nan
    frame.loc[beside, "part"] = "beside"
    frame.to_parquet(found.fold_table)
    return found


def read(inputs: Inputs, others: tuple[str, ...] = OTHERS, **more: Any) -> tuple[FeatureStore, TrainingData]:
    store = FeatureStore([inputs.shard])
    return store, read_training_data(inputs.fold_table, store, more.get("max_crystals"), 0, others)


def networks(settings: Section, n_others: int) -> tuple[Network, list[PairNetwork]]:
    """A network, and read-outs for further targets."""
    torch.manual_seed(0)
    kind = model_kinds()[settings.model_dump()["kind"]]
    model = kind.build(settings, True)
    return model, [kind.build(settings, False).without_sites() for _ in range(n_others)]


def trainer(inputs: Inputs, settings: Section, others: tuple[str, ...] = OTHERS, **recipe: Any) -> Trainer:
    store, data = read(inputs, others)
    model, read_outs = networks(settings, len(others))
    torch.manual_seed(1)  # of dropout
    return Trainer(model, TrainingSettings(**RECIPE | recipe), store, data, 0, CPU, read_outs)


def step(trained: Trainer, targets: Tensor) -> dict[str, Tensor]:
    """Gradients of the first training crystals, of all weights that have one."""
    trained._gradients.learnt.zero_grad()
    resident = ResidentPointSets(trained.store, trained.data.train.indices, CPU)
    trained._gradients(resident.batch(trained.data.train.indices[: len(targets)]), targets)
    weights = trained._gradients.learnt.named_parameters()
    return {name: weight.grad.clone() for name, weight in weights if weight.grad is not None}


def first(trained: Trainer, n: int = 8) -> Tensor:
    return torch.tensor(trained.data.train.table[:n]).float()


def test_crystals_that_only_teach_others_are_read_where_one_of_them_is_learnt(inputs: Inputs) -> None:
    _, alone = read(inputs, ())
    assert (len(alone.train), alone.train.n_labelled, alone.train.table.shape[1]) == (28, 28, 1)
    _, both = read(inputs)
    assert (len(both.train), both.train.n_labelled, both.n_train_available) == (32, 28, 28)
    _, rare = read(inputs, ("rare",))
    assert np.isfinite(rare.train.table).any(axis=1).all()
    assert 28 < len(rare.train) < 32
    assert read(inputs, ("all",))[1].checksum == both.checksum != alone.checksum
    frame = pd.read_parquet(inputs.fold_table).query("part == 'validation'")
    assert len(both.validation) == len(frame)
    assert both.validation.table.shape[1] == 1


def test_a_subset_of_the_labelled_crystals_is_that_of_a_training_alone(inputs: Inputs) -> None:
    _, alone = read(inputs, (), max_crystals=10)
    _, both = read(inputs, max_crystals=10)
    labelled = both.train.indices[np.isfinite(both.train.targets)]
    assert labelled.tolist() == alone.train.indices.tolist()
    assert len(both.train) == 14


def test_a_target_that_no_training_crystal_has_is_one_clear_line(inputs: Inputs, tmp_path: Path) -> None:
    frame = pd.read_parquet(inputs.fold_table)
    frame.loc[frame["part"] != "validation", "rare"] = np.nan
    frame.to_parquet(tmp_path / "train.parquet")
    changed = replace(inputs, fold_table=tmp_path / "train.parquet")
    with pytest.raises(UserError, match=r"no training crystal has the target 'rare' of training\.other_targets"):
        train(changed.job(tmp_path / "run", other_targets=OTHERS))


@pytest.mark.parametrize("kind", sorted(kinds_of_role("network")))
def test_a_read_out_reads_the_sites_of_the_network(inputs: Inputs, kind: str) -> None:
    model, (read_out,) = networks(NETWORKS[kind], 1)
    assert isinstance(model, PairNetwork)
    store, data = read(inputs)
    batch = ResidentPointSets(store, data.train.indices, CPU).batch(data.train.indices[:5])
    pooled = (model.site_states(batch), batch.site_counts, batch.site_crystal, batch.n_crystals)
    read_out.load_state_dict({name: w for name, w in model.state_dict().items() if name in read_out.state_dict()})
    torch.testing.assert_close(read_out.predict_pooled(*pooled).clamp(min=0), model(batch))
    own = {id(weight) for layer in model.readout() for weight in layer.parameters()}
    assert sum(1 for _ in read_out.parameters()) == len(own)


@pytest.mark.parametrize("kind", sorted(NETWORKS))
def test_a_target_that_a_batch_lacks_teaches_nothing(inputs: Inputs, kind: str) -> None:
    trained = trainer(inputs, NETWORKS[kind], clip_norm=None)
    targets = first(trained)
    targets[:, 2] = torch.nan
    gradients = step(trained, targets)
    assert all(not gradient.any() for name, gradient in gradients.items() if name.startswith("2."))
    assert any(gradient.any() for name, gradient in gradients.items() if name.startswith("1."))
    alone = trainer(inputs, NETWORKS[kind], others=(), clip_norm=None)
    alone.data = trained.data
    targets[:, 1] = torch.nan
    both, single = step(trained, targets), step(alone, targets[:, :1])
    assert len(single) > 5
    for name, gradient in single.items():
        assert torch.equal(both[name], gradient), name


def test_the_loss_is_that_of_the_target_and_the_mean_of_the_others(inputs: Inputs) -> None:
    trained = trainer(inputs, RADIAL_NETWORK, clip_norm=None)
    targets = first(trained)
    losses = []
    for column in range(3):
        only = torch.full_like(targets, torch.nan)
        only[:, column] = targets[:, column]
        losses.append(step(trained, only))
    whole = step(trained, targets)
    for name in losses[0]:
        expected = losses[0][name] + losses[1][name] + losses[2][name]  # each of the others was halved
        torch.testing.assert_close(whole[name], expected, rtol=1e-4, atol=1e-6)
    own = [name for name in whole if name.startswith("1.")]
    assert own
    assert all(torch.equal(whole[name], losses[1][name]) for name in own)


def test_a_batch_of_crystals_without_the_target_is_no_failure(inputs: Inputs) -> None:
    trained = trainer(inputs, RADIAL_NETWORK)
    targets = first(trained)
    targets[:, 0] = torch.nan
    resident = ResidentPointSets(trained.store, trained.data.train.indices, CPU)
    figures = trained._gradients(resident.batch(trained.data.train.indices[:8]), targets)
    assert figures.tolist() == [0.0, 0.0, 1.0, 0.0]


def test_every_target_has_a_scale_of_its_own(inputs: Inputs) -> None:
    trained = trainer(inputs, RADIAL_NETWORK)
    assert float(trained.model.scale.target_std) == 1.0
    for read_out, values in zip(trained.read_outs, trained.data.train.others, strict=True):
        assert isinstance(read_out, PairNetwork)
        assert float(read_out.scale.target_mean) == pytest.approx(np.nanmean(values))
        assert float(read_out.scale.target_std) == pytest.approx(np.nanstd(values))


def weights(trained: Trainer) -> dict[str, Tensor]:
    return trained.model.state_dict()


def test_a_training_whose_other_targets_are_unknown_is_one_alone(inputs: Inputs) -> None:
    dropout = RADIAL_NETWORK.model_copy(update={"dropout": 0.2})
    alone = trainer(inputs, dropout, others=(), clip_norm=None)
    alone.fit(lambda: None, lambda: None)
    both = trainer(inputs, dropout, clip_norm=None)
    unknown = tuple(np.full(len(alone.data.train), np.nan) for _ in OTHERS)
    both.data = replace(alone.data, train=replace(alone.data.train, others=unknown))
    both.fit(lambda: None, lambda: None)
    assert [row.validation_error for row in both.state.history] == [row.validation_error for row in alone.state.history]
    assert [row.train_loss for row in both.state.history] == [row.train_loss for row in alone.state.history]
    for name, weight in weights(alone).items():
        assert torch.equal(weight, weights(both)[name]), name


def test_training_errors_are_those_of_the_target(inputs: Inputs) -> None:
    trained = trainer(inputs, RADIAL_NETWORK, learning_rate=1e-30, max_epochs=1, ema_decay=None)
    alone = trainer(inputs, RADIAL_NETWORK, others=(), learning_rate=1e-30, max_epochs=1, ema_decay=None)
    for one in (trained, alone):
        one.fit(lambda: None, lambda: None)
    (row,), (expected,) = trained.state.history, alone.state.history
    assert row.train_error == pytest.approx(expected.train_error, rel=1e-5)
    assert row.train_loss == pytest.approx(expected.train_loss, rel=1e-5)
    assert row.validation_error == pytest.approx(expected.validation_error, rel=1e-6)


def in_classes(part: Labelled) -> Labelled:
    """The crystals with the class of a gap above 2 eV as target, where that is known."""
    return replace(part, targets=np.where(np.isnan(part.targets), np.nan, (part.targets > 2).astype(float)))


def test_a_class_may_have_numbers_beside_it(inputs: Inputs) -> None:
    store, data = read(inputs)
    data = replace(data, train=in_classes(data.train), validation=in_classes(data.validation))
    model, read_outs = networks(RADIAL_NETWORK, 2)
    trained = Trainer(for_task(model, CLASSIFICATION), TrainingSettings(**RECIPE), store, data, 0, CPU, read_outs)
    trained.fit(lambda: None, lambda: None)
    assert np.isfinite([row.validation_error for row in trained.state.history]).all()


def test_padding_changes_neither_loss_nor_gradient(inputs: Inputs) -> None:
    trained = trainer(inputs, RADIAL_NETWORK, clip_norm=None)
    indices = trained.data.train.indices
    resident = ResidentPointSets(trained.store, indices, CPU)
    own = Size.of(indices[:8], resident)
    size = Size(own.crystals + 3, own.sites + 7, own.pairs + 40)
    padded = RecordedGradients(trained._gradients, resident, trained.data.train.table, size)
    for _ in range(2):  # gradients are written anew
        figures = padded(indices[:8]).figures
    found = {n: w.grad.clone() for n, w in trained._gradients.learnt.named_parameters() if w.grad is not None}
    for name, gradient in step(trained, first(trained)).items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=2e-5, msg=name)
    assert figures[3] == np.isfinite(trained.data.train.targets[:8]).sum() < 8


class KilledError(Exception):
    """In place of a signal."""


def test_a_run_resumes_bit_by_bit_and_leaves_a_plain_network(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropout = RADIAL_NETWORK.model_copy(update={"dropout": 0.2})
    whole = inputs.job(tmp_path / "whole", dropout, other_targets=OTHERS)
    result = train(whole)
    killed = replace(inputs.job(tmp_path / "killed", dropout, other_targets=OTHERS), checkpoint_seconds=0.0)
    steps = iter(range(1000))

    def save(*arguments: Any) -> None:
        saved(*arguments)
        if next(steps) == 7:
            raise KilledError

    saved = run_module.save_last
    with monkeypatch.context() as patched:
        patched.setattr(run_module, "save_last", save)
        with pytest.raises(KilledError):
            train(killed)
    again = train(killed)
    assert (again.validation_error, again.cost.restarts) == (result.validation_error, 1)
    assert (result.n_train, result.n_train_available) == (28, 28)
    errors = [[row.validation_error for row in read_history(job.folder)] for job in (whole, killed)]
    assert errors[0] == errors[1]

    description, _, kept = load_best(tmp_path / "whole/best.pt")
    assert description.trial.training.other_targets == OTHERS
    plain, _ = networks(dropout, 0)
    assert kept.keys() == plain.state_dict().keys()
    for name, weight in kept.items():
        assert torch.equal(weight, load_best(tmp_path / "killed/best.pt")[2][name]), name
    predicted = predict(tmp_path / "whole/best.pt", FeatureStore([inputs.shard]), inputs.ids)
    assert np.isfinite(predicted["prediction"]).all()
    assert result.n_parameters == sum(weight.numel() for weight in plain.parameters())


def test_records_of_one_target_say_nothing_of_others(inputs: Inputs, tmp_path: Path) -> None:
    train(inputs.job(tmp_path, max_epochs=1))
    assert "other_targets" not in (tmp_path / "run.json").read_text()
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["n_train"] == 28


def test_a_network_without_a_known_read_out_learns_its_target_alone(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sitenet.models.schnet.network.SchNet.readout", lambda _: [])
    with pytest.raises(UserError, match=r"^training\.other_targets: networks of the kind schnet do not say which"):
        train(inputs.job(tmp_path, SCHNET_NETWORK, other_targets="all"))
