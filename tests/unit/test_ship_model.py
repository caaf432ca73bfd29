"""A model that comes with the package: made of finished runs, with a card that is measured."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sitenet.data.load import load_dataset
from sitenet.data.manifest import Manifest
from sitenet.data.sources.bundled import BundledDataset
from sitenet.data.splits.write import write_splits
from sitenet.data.table import CrystalTable
from sitenet.errors import UserError
from sitenet.features.featurize import featurize
from sitenet.features.store import write_shard
from sitenet.prediction.card import PRETRAINED, PretrainedModel, pretrained_model, pretrained_names
from sitenet.prediction.card_text import list_models, markdown_card, show_model
from sitenet.prediction.model import load_model
from sitenet.settings.elements import SYMBOLS
from sitenet.settings.splits import KFoldSplits
from sitenet.training.checkpoint import load_best
from sitenet.training.run import train
from tests.training_case import FEATURES, RADIAL_NETWORK, Inputs
from tools.model_cards import PAGE, page
from tools.ship_model import ship

ABOUT = (PRETRAINED / "band-gap/about.yaml").read_text()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of a small benchmark in `data/`, and two runs of its fold 0."""
    folder = tmp_path_factory.mktemp("finished")
    data = folder / "data"
    dataset = BundledDataset(source="bundled", name="mp_dielectric_gap")
    manifest = load_dataset(dataset, data)
    write_splits(KFoldSplits(kind="kfold", n_folds=2), dataset, data)
    crystals = list(CrystalTable.open(data / "structures.parquet").crystals())
    write_shard(shard := folder / "features.arrow", [featurize(crystal, FEATURES) for crystal in crystals])
    inputs = Inputs(shard, data / "folds/fold0/train.parquet", [crystal.id for crystal in crystals], FEATURES)
    for seed in (0, 1):
        job = inputs.job(folder / f"seed{seed}", RADIAL_NETWORK)
        key = job.key.model_copy(update={"seed": seed})
        train(replace(job, key=key, data_checksum=manifest.structures_sha256))
        (job.folder / "result.json").write_bytes((job.folder / "run.json").read_bytes())
    return folder


@pytest.fixture
def pretrained(tmp_path: Path) -> Path:
    """A folder of models with one that is replaced."""
    (tmp_path / "gap").mkdir()
    (tmp_path / "gap/about.yaml").write_text(ABOUT.replace("[0.5, 1, 2, 3, 5]", "[1, 3]"))
    (tmp_path / "gap/seed7.pt").write_text("of the networks before")
    return tmp_path


def test_runs_become_a_model_with_a_measured_card(finished: Path, pretrained: Path) -> None:
    data, runs = finished / "data", [finished / "seed0", finished / "seed1"]
    card = ship("gap", data, runs, pretrained)
    assert {path.name for path in (pretrained / "gap").iterdir()} == {
        "about.yaml",
        "calibration.json",
        "card.json",
        "seed0.pt",
        "seed1.pt",
        "training_set.npz",
    }
    model = load_model(pretrained / "gap", "cpu")
    assert model.pretrained is not None
    assert model.pretrained.card.model_dump_json() == card.model_dump_json()
    for run, file in zip(runs, model.networks.files, strict=True):
        full, rounded = load_best(run / "best.pt")[2], load_best(file)[2]
        assert {weight.dtype for weight in rounded.values() if weight.ndim} == {torch.float16}
        for name, weight in rounded.items():
            torch.testing.assert_close(weight.float(), full[name], rtol=1e-3, atol=1e-4)
    test = pd.read_parquet(data / "folds/fold0/test_targets.parquet").set_index("id")["target"]
    frame = model.predict(data / "structures.parquet").set_index("id")["prediction"][test.index]
    errors = (frame - test).abs()
    assert card.test.mae == pytest.approx(errors.mean(), abs=1e-5)
    assert card.test.low < card.test.mae < card.test.high
    assert card.rmse == pytest.approx(np.sqrt((errors**2).mean()), abs=1e-5)
    assert [score.name for score in card.ranges] == ["0 to 1", "1 to 3", "above 3"]  # the bundled ones are insulators
    assert sum(score.crystals for score in card.ranges) == card.test.crystals == len(test)
    assert card.ranges[2].mae == pytest.approx(errors[test > 3].mean(), abs=1e-5)


def test_the_card_says_what_was_learnt_from(finished: Path, pretrained: Path) -> None:
    card = ship("gap", finished / "data", [finished / "seed0"], pretrained)
    parts = pd.read_parquet(finished / "data/folds/fold0/train.parquet").set_index("id")["part"]
    train_ids = set(parts.index[parts == "train"])
    crystals = [c for c in CrystalTable.open(finished / "data/structures.parquet").crystals() if c.id in train_ids]
    oxygen = sum(8 in crystal.atomic_numbers for crystal in crystals)
    assert card.data.elements["O"] == oxygen > 0
    assert (card.data.train, card.data.validation) == (len(train_ids), len(parts) - len(train_ids))
    assert set(card.data.elements) == {SYMBOLS[z - 1] for crystal in crystals for z in crystal.atomic_numbers}
    assert card.data.structures_sha256 == Manifest.read(finished / "data/manifest.json").structures_sha256


def test_networks_that_may_have_seen_the_test_crystals_are_refused(finished: Path, pretrained: Path) -> None:
    shutil.copytree(finished / "data", other := pretrained / "data")
    path = other / "folds/fold0/train.parquet"
    pd.read_parquet(path).iloc[1:].to_parquet(path)
    with pytest.raises(UserError, match=r"is not what benchmark .* was trained on: a checksum is another one"):
        ship("gap", other, [finished / "seed0"], pretrained)
    with pytest.raises(UserError, match="each with another seed"):
        ship("gap", finished / "data", [finished / "seed0"] * 2, pretrained)
    assert (pretrained / "gap/seed7.pt").exists()
    with pytest.raises(UserError, match=r"cannot read .*about\.yaml"):
        ship("other", finished / "data", [finished / "seed0"], pretrained)


def test_networks_of_a_part_of_the_training_crystals_are_refused(
    finished: Path, pretrained: Path, tmp_path: Path
) -> None:
    inputs = Inputs(finished / "features.arrow", finished / "data/folds/fold0/train.parquet", [], FEATURES)
    job = inputs.job(tmp_path / "seed0", RADIAL_NETWORK, max_crystals=50, max_epochs=1)
    train(job)
    (job.folder / "result.json").write_bytes((job.folder / "run.json").read_bytes())
    with pytest.raises(UserError, match="learnt from a part of the training crystals: max_crystals must be null"):
        ship("gap", finished / "data", [job.folder], pretrained)


def test_damaged_models_are_refused(finished: Path, pretrained: Path) -> None:
    ship("gap", finished / "data", [finished / "seed0"], pretrained)
    network, card = pretrained / "gap/seed0.pt", pretrained / "gap/card.json"
    network.write_bytes(network.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match=r"seed0\.pt is damaged or was changed .*; install sitenet again"):
        PretrainedModel(pretrained / "gap")
    content = json.loads(card.read_text())
    content["test"]["mae"] = 0.01
    card.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"card\.json is damaged or was changed"):
        PretrainedModel(pretrained / "gap")
    ship("gap", finished / "data", [finished / "seed0"], pretrained)
    network.unlink()
    with pytest.raises(UserError, match=r"seed0\.pt is missing: install sitenet again"):
        PretrainedModel(pretrained / "gap")


@pytest.mark.parametrize("name", pretrained_names())
def test_the_models_of_the_package_are_whole_and_shown(name: str) -> None:
    model = pretrained_model(name)
    assert sum(path.stat().st_size for path in model.networks) < 5_000_000
    listed = next(line for line in list_models().splitlines() if line.startswith(name))
    assert model.about.title in listed
    assert model.about.functional in listed
    shown = show_model(name)
    for limit in model.about.limits:
        assert limit in shown
    for checksum in model.card.files.values():
        assert checksum in shown
    assert f"{model.card.data.train:,} crystals for training" in shown
    assert markdown_card(model, 2).startswith(f"## {name}\n")


def test_the_page_of_cards_is_what_the_tool_writes() -> None:
    assert PAGE.read_text("utf-8") == page(), "run `python -m tools.model_cards`"
