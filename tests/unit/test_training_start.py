"""Fine-tuning: a training that begins with the weights of another one."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sitenet.config.pretrained import pretrained_names, pretrained_networks, starting_network
from sitenet.errors import UserError
from sitenet.features.store import FeatureStore
from sitenet.files import sha256_of
from sitenet.records import RunResult
from sitenet.settings.section import Section
from sitenet.settings.training import TrainingSettings
from sitenet.training.checkpoint import load_best
from sitenet.training.run import train
from sitenet.training.training_data import read_training_data
from tests.training_case import CGCNN_NETWORK, NETWORK, RADIAL_NETWORK, SCHNET_NETWORK, Inputs, write_inputs

STILL = 1e-30  # a learning rate that changes no weight
READOUT = {"sitenet": ("post_pool.", "output.")} | dict.fromkeys(("sitenet_radial", "cgcnn", "schnet"), ("read_out.",))
SCALE = "scale."


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(
    scope="module", params=[NETWORK, RADIAL_NETWORK, CGCNN_NETWORK, SCHNET_NETWORK], ids=lambda network: network.kind
)
def source(request: pytest.FixtureRequest, inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a finished run of each network."""
    folder = tmp_path_factory.mktemp("source")
    train(inputs.job(folder, request.param, standardise_target=True))
    return folder / "best.pt"


def network_of(source: Path) -> Section:
    return load_best(source)[0].trial.sections["model"]


def tuned(inputs: Inputs, source: Path, folder: Path, network: Section | None = None, **recipe: Any) -> RunResult:
    recipe = {"standardise_target": True} | recipe
    job = inputs.job(folder, network or network_of(source), start_from=str(source), **recipe)
    return train(type(job)(**vars(job) | {"start": source}))


def weights(path: Path) -> Mapping[str, Tensor]:
    """The weights; Site-Net's embedding as the network reads it, which shortens its rows when it first sees them."""
    found = load_best(path)[2]
    return {name: w.renorm(2, 0, 1.0) if name == "embedding.element.weight" else w for name, w in found.items()}


def close(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-6, atol=0)


def same(path: Path, other: Path) -> set[str]:
    """Names of the weights that are the same in two checkpoints, but for the scale of the target."""
    found, wanted = weights(path), weights(other)
    assert found.keys() == wanted.keys()
    return {name for name in found if not name.startswith(SCALE) and close(found[name], wanted[name])}


def test_a_training_begins_with_the_weights_of_the_other(inputs: Inputs, source: Path, tmp_path: Path) -> None:
    tuned(inputs, source, tmp_path, learning_rate=STILL, max_epochs=1, weight_decay=0)
    assert same(tmp_path / "best.pt", source) == {name for name in weights(source) if not name.startswith(SCALE)}


def test_for_another_target_the_readout_begins_anew(inputs: Inputs, source: Path, tmp_path: Path) -> None:
    """All else is kept; the new read-out depends on the seed, and not on the one before."""
    recipe = {"learning_rate": STILL, "max_epochs": 1, "weight_decay": 0}
    job = inputs.job(tmp_path, network_of(source), start_from=str(source), **recipe)
    result = train(type(job)(**vars(job) | {"start": source, "target": "refractive_index"}))
    readout = READOUT[load_best(source)[0].trial.kind]
    changed = weights(source).keys() - same(tmp_path / "best.pt", source)
    assert {name for name in changed if name.endswith("weight") and "norm" not in name} == {
        name for name in weights(source) if name.startswith(readout) and name.endswith("weight") and "norm" not in name
    }
    assert all(name.startswith((SCALE, *readout)) for name in changed)
    assert result.origin.endswith("with a new read-out")


def test_the_scale_is_that_of_the_new_targets(inputs: Inputs, source: Path, tmp_path: Path) -> None:
    result = tuned(inputs, source, tmp_path, max_epochs=1, max_crystals=9)
    learnt = read_training_data(inputs.fold_table, FeatureStore([inputs.shard]), 9, result.key.seed).train.targets
    new, old = (float(weights(path)["scale.target_mean"]) for path in (tmp_path / "best.pt", source))
    assert new == pytest.approx(learnt.mean())
    assert new != pytest.approx(old)


@pytest.mark.parametrize("trained", ["all", "readout"])
def test_the_readout_is_what_follows_the_pooling(inputs: Inputs, source: Path, tmp_path: Path, trained: str) -> None:
    """With `readout`, all other weights stay as they are, whatever weight decay, averages and momentum do."""
    tuned(inputs, source, tmp_path, trained=trained, weight_decay=0.1)
    readout = READOUT[load_best(source)[0].trial.kind]
    body = {name for name in weights(source) if not name.startswith((SCALE, *readout))}
    assert body
    if trained == "readout":
        assert same(tmp_path / "best.pt", source) == body
    else:
        assert len(body & same(tmp_path / "best.pt", source)) < len(body) / 4  # nothing reads the last update of pairs


def test_record_and_checkpoint_say_where_the_weights_come_from(inputs: Inputs, source: Path, tmp_path: Path) -> None:
    result = tuned(inputs, source, tmp_path, max_epochs=1)
    assert result.origin == load_best(tmp_path / "best.pt")[0].origin == RunResult.read(tmp_path / "run.json").origin
    assert str(source) in result.origin
    assert sha256_of(source) in result.origin
    assert "trained for band_gap on fold 0 of mp_dielectric_gap with seed 0" in result.origin
    assert result.origin.endswith("with seed 0")
    assert load_best(source)[0].origin == ""


@pytest.mark.parametrize("change", [{"width": 32}, {"blocks": 1}])
def test_another_network_is_refused_in_one_line(inputs: Inputs, tmp_path: Path, change: dict[str, int]) -> None:
    train(inputs.job(tmp_path / "source", RADIAL_NETWORK, max_epochs=1))
    source = tmp_path / "source" / "best.pt"
    with pytest.raises(UserError) as error:
        tuned(inputs, source, tmp_path / "tuned", RADIAL_NETWORK.model_copy(update=change))
    [(name, value)] = change.items()
    assert f"{source} was trained with model.{name} = {getattr(RADIAL_NETWORK, name)}, and this trial has {value}" in (
        str(error.value)
    )
    assert not (tmp_path / "tuned" / "last.pt").exists()


def test_other_features_and_kinds_are_refused(inputs: Inputs, source: Path, tmp_path: Path) -> None:
    other = Inputs(inputs.shard, inputs.fold_table, inputs.ids, inputs.features.model_copy(update={"max_sites": 13}))
    with pytest.raises(UserError, match=r"features\.max_sites = 12, and this trial has 13"):
        tuned(other, source, tmp_path)
    kind = network_of(source).model_dump()["kind"]
    with pytest.raises(UserError, match=rf"model\.kind = {kind}, and this trial has"):
        tuned(inputs, source, tmp_path, RADIAL_NETWORK if kind == "sitenet" else NETWORK)


def test_a_damaged_checkpoint_is_refused(inputs: Inputs, tmp_path: Path) -> None:
    damaged = tmp_path / "best.pt"
    damaged.write_bytes(b"nothing")
    with pytest.raises(UserError, match=str(damaged)):
        tuned(inputs, damaged, tmp_path / "tuned", NETWORK)


def test_an_interrupted_run_does_not_go_on_from_another_network(inputs: Inputs, tmp_path: Path) -> None:
    """The file has changed in between: what `last.pt` has is not what was asked for."""
    for seed, folder in enumerate(("first", "second")):
        job = inputs.job(tmp_path / folder, RADIAL_NETWORK, max_epochs=1)
        train(type(job)(**vars(job) | {"key": job.key.model_copy(update={"seed": seed})}))
    source = tmp_path / "best.pt"
    source.write_bytes((tmp_path / "first" / "best.pt").read_bytes())
    job = inputs.job(tmp_path / "tuned", RADIAL_NETWORK, start_from=str(source))
    train(type(job)(**vars(job) | {"start": source, "epochs": 1}))
    last = torch.load(job.folder / "last.pt", weights_only=True)
    last["metadata"] = json.dumps(json.loads(last["metadata"]) | {"finished": False})  # as if it had been killed
    torch.save(last, job.folder / "last.pt")
    os.replace(tmp_path / "second" / "best.pt", source)
    with pytest.raises(UserError, match="belongs to another run"):
        train(type(job)(**vars(job) | {"start": source}))


def test_a_read_out_that_is_kept_keeps_its_scale(inputs: Inputs, source: Path, tmp_path: Path) -> None:
    """Else standardised outputs would be taken for electronvolts."""
    with pytest.raises(UserError, match=r"trained with training.standardise_target = true, and this trial has false"):
        tuned(inputs, source, tmp_path / "tuned", standardise_target=False)


def test_defaults_start_from_nothing_and_a_readout_needs_a_start() -> None:
    assert TrainingSettings().start_from is None
    with pytest.raises(ValueError, match="set start_from"):
        TrainingSettings(trained="readout")


def test_a_name_that_no_model_has_is_a_path() -> None:
    assert starting_network("mine/best.pt", 3) == Path("mine/best.pt")


def test_the_models_of_the_package_have_their_networks() -> None:
    for name in pretrained_names():
        networks = [starting_network(name, seed) for seed in range(2 * len(pretrained_networks(name)))]
        assert all(load_best(path)[1] is not None for path in set(networks))
    assert "band-gap" in pretrained_names()


def test_seeds_take_the_networks_of_a_model_in_turn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sitenet.config.pretrained.PRETRAINED", tmp_path)
    (tmp_path / "gap").mkdir()
    for seed in (0, 1, 10):
        (tmp_path / "gap" / f"seed{seed}.pt").touch()
    assert [starting_network("gap", seed).stem for seed in range(5)] == ["seed0", "seed1", "seed10", "seed0", "seed1"]
