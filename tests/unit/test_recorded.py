"""Steps whose batches are padded to one size, as a CUDA graph needs them. On a GPU they are recorded, here computed."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sitenet.features.store import FeatureStore
from sitenet.models.cgcnn.settings import CGCNNSettings
from sitenet.models.registry import model_kinds
from sitenet.models.schnet.settings import SchNetSettings
from sitenet.models.sitenet_radial.settings import RadialSiteNetSettings
from sitenet.settings.features import FeatureSettings
from sitenet.settings.section import Section
from sitenet.settings.training import TrainingSettings
from sitenet.training import recorded
from sitenet.training.batching import pair_batches
from sitenet.training.recorded import RecordedGradients, Size
from sitenet.training.resident import ResidentPointSets
from sitenet.training.trainer import Trainer
from sitenet.training.training_data import read_training_data
from tests.training_case import FEATURES, NETWORK, RADIAL_NETWORK, RECIPE, write_inputs

CPU = torch.device("cpu")
SPHERES = FeatureSettings(radius=4.0, moments=2, descriptor="chgnet")
ALL = {"cutoff": 4.0, "envelope": True, "moments": 2, "gate_channels": 16, "descriptor": "chgnet"}
CASES: dict[str, tuple[Section, FeatureSettings]] = {
    "sitenet": (NETWORK, FEATURES),
    "sitenet with a cut-off": (NETWORK.model_copy(update={"cutoff": 4.0}), FEATURES),
    "sitenet_radial": (RadialSiteNetSettings(**RADIAL_NETWORK.model_dump() | ALL), SPHERES),
    "cgcnn": (CGCNNSettings(width=16, cutoff=4.0, envelope=True), SPHERES),
    "schnet": (SchNetSettings(width=16), FEATURES),
}


def steps(folder: Path, network: Section, features: FeatureSettings) -> tuple[Trainer, RecordedGradients, list]:
    """A training, its steps with padding, and its batches."""
    inputs = write_inputs(folder, features=features)
    store = FeatureStore([inputs.shard])
    data = read_training_data(inputs.fold_table, store, None, 0)
    known = model_kinds()[network.model_dump()["kind"]]
    settings = TrainingSettings(**RECIPE | {"clip_norm": None})
    trainer = Trainer(known.build(network, True), settings, store, data, 0, CPU)
    indices, largest = data.train.indices, 4 * int(store.n_pairs.max())
    resident = ResidentPointSets(store, indices[::-1].copy(), CPU)
    batches = [indices[some] for some in pair_batches(store.n_pairs[indices], largest)]
    size = Size.for_batches(batches, resident)
    return trainer, RecordedGradients(trainer._gradients, resident, data.train.table[::-1], size), batches


@pytest.mark.parametrize("name", CASES)
def test_padding_changes_neither_loss_nor_gradient(tmp_path: Path, name: str) -> None:
    trainer, padded_steps, batches = steps(tmp_path, *CASES[name])
    targets = dict(zip(trainer.data.train.indices.tolist(), trainer.data.train.targets, strict=True))
    weights = dict(trainer.model.named_parameters())
    for batch in batches:
        assert padded_steps.fits(batch)
        found = []
        for padded in (True, False):
            trainer.model.zero_grad()
            if padded:
                step = padded_steps(batch)
                assert step.ids == tuple(trainer.store.ids[index] for index in batch)
                figures = step.figures
            else:
                whole = ResidentPointSets(trainer.store, batch, CPU).batch(batch)
                figures = trainer._gradients(whole, torch.tensor([[targets[int(index)]] for index in batch]).float())
            found.append((figures, {key: weight.grad for key, weight in weights.items() if weight.grad is not None}))
        (figures, gradients), (expected, expected_gradients) = found
        torch.testing.assert_close(figures, expected, rtol=1e-5, atol=1e-6)
        for key, gradient in gradients.items():
            torch.testing.assert_close(gradient, expected_gradients[key], rtol=1e-3, atol=2e-5, msg=key)


def test_a_huge_crystal_does_not_make_every_batch_as_large(tmp_path: Path) -> None:
    trainer, _, _ = steps(tmp_path, *CASES["sitenet"])
    resident = ResidentPointSets(trainer.store, trainer.data.train.indices, CPU)
    huge = trainer.data.train.indices[np.argmax(trainer.store.n_pairs[trainer.data.train.indices])]
    small = np.setdiff1d(trainer.data.train.indices, [huge])[:4]
    with_huge = Size.for_batches([small, np.array([huge])], resident)
    assert with_huge == Size.for_batches([small], resident)
    assert Size.for_batches([np.array([huge])], resident).holds(Size.of(np.array([huge]), resident))


def test_a_batch_too_large_for_the_recorded_size_is_seen(tmp_path: Path) -> None:
    _, padded_steps, batches = steps(tmp_path, *CASES["sitenet"])
    assert not padded_steps.fits(np.concatenate(batches))


@pytest.mark.parametrize(("pairs", "room"), [(20, 1.03), (80, 1.03), (80, 0.8), (100_000, 1.03)])
def test_a_training_with_padded_batches_is_the_same_training(
    tmp_path: Path, pairs: int, room: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is less room than batches need, the larger ones are computed operation by operation."""
    monkeypatch.setattr(recorded, "ROOM", room)
    inputs = write_inputs(tmp_path)
    store = FeatureStore([inputs.shard])
    data = read_training_data(inputs.fold_table, store, None, 0)
    histories = []
    for resident in (True, False):
        torch.manual_seed(0)
        settings = TrainingSettings(**RECIPE | {"batch_pairs": pairs})
        trainer = Trainer(model_kinds()["sitenet"].build(NETWORK, True), settings, store, data, 0, CPU)
        if resident:
            trainer.store = ResidentPointSets(store, np.concatenate([data.train.indices, data.validation.indices]), CPU)
        trainer.fit(lambda: None, lambda: None)
        histories.append([row.validation_error for row in trainer.state.history])
    np.testing.assert_allclose(histories[0], histories[1], rtol=1e-3)
