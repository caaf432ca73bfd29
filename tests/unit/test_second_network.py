"""Networks beside Site-Net: the steps of docs/models.md, taken for a toy network, and the convolutional ones."""

from pathlib import Path
from typing import Literal

import pandas as pd
import pytest
from pymatgen.core import Structure
from torch import Tensor, nn

from sitenet import load_model
from sitenet.cli import main
from sitenet.errors import UserError
from sitenet.features.store import FeatureStore
from sitenet.models.base.batch import Batch
from sitenet.models.base.network import Network, TargetScale
from sitenet.models.base.segments import segment_mean
from sitenet.models.registry import ModelKind, model_kinds
from sitenet.prediction.explain.explanation import explain
from sitenet.prediction.predictor import Predictor, predict
from sitenet.settings.section import Section, Width
from sitenet.training.run import TrainJob, train
from tests.real_crystals import crystals, point_set
from tests.training_case import CGCNN_NETWORK, FEATURES, SCHNET_NETWORK, Inputs, write_inputs


class ToySettings(Section):
    kind: Literal["toy"] = "toy"
    width: Width = 8


class Toy(Network):
    """The mean over the sites of a function of the element."""

    def __init__(self, settings: ToySettings, non_negative: bool):
        super().__init__()
        self.embedding = nn.Embedding(119, settings.width)
        self.output = nn.Linear(settings.width, 1)
        self.scale = TargetScale(non_negative)

    def forward(self, batch: Batch) -> Tensor:
        sites = self.embedding(batch.atomic_numbers)
        pooled = segment_mean(sites, batch.site_counts, batch.site_crystal, batch.n_crystals)
        return self.scale(self.output(pooled).squeeze(1))


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return write_inputs(tmp_path)


@pytest.fixture
def trained(inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainJob:
    monkeypatch.setitem(model_kinds(), "toy", ModelKind(ToySettings, "network", f"{__name__}:Toy"))
    job = inputs.job(tmp_path / "run", ToySettings(width=5))
    train(job)
    return job


def test_it_trains_and_predicts(inputs: Inputs, trained: TrainJob) -> None:
    best = trained.folder / "best.pt"
    predictor = Predictor.load(best)
    assert isinstance(predictor.model, Toy)
    assert predictor.model.embedding.weight.shape == (119, 5)
    frame = predict(best, FeatureStore([inputs.shard]), inputs.ids)
    assert frame["prediction"].nunique() > 1
    alone = predict(best, FeatureStore([inputs.shard]), inputs.ids[-1:])
    assert alone["prediction"].item() == pytest.approx(frame["prediction"].iloc[-1], rel=1e-5)


def test_it_goes_on_after_its_end(trained: TrainJob) -> None:
    before = (trained.folder / "best.pt").read_bytes()
    train(trained)
    assert (trained.folder / "best.pt").read_bytes() == before


def test_it_has_no_attention(trained: TrainJob) -> None:
    predictor = Predictor.load(trained.folder / "best.pt")
    assert predictor.attention(crystals()["mp-252"], point_set("mp-252", FEATURES.max_sites)) == []


@pytest.mark.parametrize("network", [CGCNN_NETWORK, SCHNET_NETWORK], ids=lambda network: network.kind)
def test_a_convolutional_network_is_predicted_with(network: Section, inputs: Inputs, tmp_path: Path) -> None:
    """By `sitenet predict` and in Python as on the crystals of the training; it has no attention to explain."""
    train(inputs.job(tmp_path / "run", network))
    best = tmp_path / "run" / "best.pt"
    expected = predict(best, FeatureStore([inputs.shard]), inputs.ids[:3])["prediction"]
    crystal = [crystals()[id_] for id_ in inputs.ids[:3]]
    structures = [Structure(c.lattice, c.atomic_numbers.tolist(), c.frac_coords) for c in crystal]
    assert load_model(best, "cpu").predict(structures)["prediction"].tolist() == pytest.approx(expected, abs=1e-4)
    structures[0].to(str(tmp_path / "one.cif"))
    main(["predict", "--model", str(best), "--out", str(tmp_path / "out.csv"), str(tmp_path / "one.cif")])
    assert pd.read_csv(tmp_path / "out.csv")["prediction"].tolist() == pytest.approx(expected[:1], abs=1e-3)
    with pytest.raises(UserError, match=f"a network of kind '{network.model_dump()['kind']}' has no attention"):
        explain(str(tmp_path / "one.cif"), best)


def test_a_kind_that_this_version_lacks_is_told(trained: TrainJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(model_kinds(), "toy")
    with pytest.raises(UserError, match=r"are not valid in sitenet .*'toy'"):
        Predictor.load(trained.folder / "best.pt")
