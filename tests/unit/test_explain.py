"""What `sitenet explain` computes; tests/e2e/test_explain_page.py looks at its page in a browser."""

import itertools
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pymatgen.core import Structure
from pymatgen.io.vasp import Poscar

from sitenet.config.trial import Trial
from sitenet.data.crystal import Crystal
from sitenet.data.manifest import Manifest, Splits
from sitenet.data.table import CrystalTable, bundled_path
from sitenet.errors import UserError
from sitenet.failures import FAILURES, write_failures
from sitenet.features.featurize import featurize, neighbour_distances
from sitenet.features.shard import FeatureManifest
from sitenet.features.store import FeatureStore
from sitenet.models.base.batch import Batch, collate
from sitenet.models.base.network import AttentionNetwork
from sitenet.prediction.explain import contributions, geometry
from sitenet.prediction.explain.contributions import class_contributions
from sitenet.prediction.explain.explanation import explain
from sitenet.prediction.explain.training_crystals import NEAREST, nearest_training_crystals
from sitenet.prediction.predictor import Predictor
from sitenet.settings.features import FeatureSettings
from sitenet.settings.section import Section
from sitenet.settings.training import TrainingSettings
from sitenet.training.run import train
from sitenet.training.training_data import read_training_data
from tests.training_case import NETWORK, RADIAL_NETWORK, Inputs, write_data_set, write_inputs

CRYSTALS = {crystal.id: crystal for crystal in CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals()}
SPHERE, SUPERCELL = FeatureSettings(radius=5.0), FeatureSettings(max_sites=30)
MANY = "mp-23739"  # SiH4, five classes of four sites
EMPTY = 2.0


def network_and_batch(settings: Section, features: FeatureSettings, crystal: str) -> tuple[AttentionNetwork, Batch]:
    torch.manual_seed(3)
    trial = Trial({"model": settings, "features": features, "training": TrainingSettings()})
    network: AttentionNetwork = trial.build(False).double().eval()
    return network, collate([featurize(CRYSTALS[crystal], features)], torch.float64)


def structure_of(crystal: str) -> Structure:
    """A crystal as pymatgen has it."""
    found = CRYSTALS[crystal]
    return Structure(found.lattice, found.atomic_numbers.tolist(), found.frac_coords)


def value(network: AttentionNetwork, states: torch.Tensor, counts: torch.Tensor, chosen: Sequence[int]) -> float:
    """What is predicted of the sites of some classes, listed one by one."""
    if not chosen:
        return EMPTY
    listed = torch.cat([states[r].repeat(int(counts[r]), 1) for r in chosen])
    ones, zeros = torch.ones(len(listed), dtype=torch.long), torch.zeros(len(listed), dtype=torch.long)
    return float(network.predict_pooled(listed, ones, zeros, 1))


@pytest.mark.parametrize("pooling", ["mean", "max", "radial"])
@torch.inference_mode()
def test_contributions_are_means_over_all_orders(pooling: str) -> None:
    settings = RADIAL_NETWORK if pooling == "radial" else NETWORK.model_copy(update={"pooling": pooling})
    network, batch = network_and_batch(settings, SPHERE, MANY)
    states, counts = network.site_states(batch), batch.site_counts
    found = class_contributions(network, states, counts, EMPTY)
    orders = list(itertools.permutations(range(len(states))))
    expected = np.zeros(len(states))
    for order in orders:
        values = [value(network, states, counts, order[:n]) for n in range(len(order) + 1)]
        expected[list(order)] += np.diff(values)
    assert len(states) == 5
    np.testing.assert_allclose(found, expected / len(orders), atol=1e-10)
    assert found.sum() == pytest.approx(float(network(batch)) - EMPTY)


@torch.inference_mode()
def test_sampled_orders_keep_the_sum_and_come_close(monkeypatch: pytest.MonkeyPatch) -> None:
    network, batch = network_and_batch(NETWORK, SPHERE, MANY)
    states, counts = network.site_states(batch), batch.site_counts
    exact = class_contributions(network, states, counts, EMPTY)
    monkeypatch.setattr(contributions, "MAX_EXACT", 2)
    sampled = class_contributions(network, states, counts, EMPTY)
    assert sampled.sum() == pytest.approx(exact.sum())
    assert 0 < np.abs(sampled - exact).max() < 0.1 * np.ptp(exact)


@pytest.mark.parametrize("features", [SPHERE, SUPERCELL], ids=["sphere", "supercell"])
@pytest.mark.parametrize("crystal", [MANY, "mp-23059", "mp-441"])
def test_lines_lead_from_site_to_site(features: FeatureSettings, crystal: str) -> None:
    network, batch = network_and_batch(RADIAL_NETWORK, features, crystal)
    point_set, (cell, _) = (
        featurize(CRYSTALS[crystal], features),
        neighbour_distances(CRYSTALS[crystal], features),
    )
    counts = np.asarray(point_set.pair_counts)[:, None]
    weights = network.attention(batch)[0].numpy() / counts
    for head, pairs in enumerate(geometry.strongest_pairs(cell, point_set, weights)):
        assert [pair["weight"] for pair in pairs] == sorted(weights[point_set.distances > 0, head])[
            : -1 - len(pairs) : -1
        ]
        for pair in pairs:
            start, ends = np.array(pair["from"]), np.array(pair["to"])
            assert len(ends) >= min(int(str(pair["count"])), geometry.MAX_LINES if features.radius is None else 1)
            if features.radius is not None:
                assert len(ends) == min(int(str(pair["count"])), geometry.MAX_LINES)
            assert np.linalg.norm(ends - start, axis=1) == pytest.approx(pair["distance"], abs=3e-3)
            at = [class_at(cell, point_set.site_class, place) for place in (start, *ends)]
            assert at == [pair["near"], *[pair["far"]] * len(ends)]


def class_at(cell: Crystal, site_class: np.ndarray, place: np.ndarray) -> int:
    """Class of the site at a place, in whatever cell."""
    away = (place @ np.linalg.inv(cell.lattice) - cell.frac_coords + 0.5) % 1.0 - 0.5
    distances = np.linalg.norm(away @ cell.lattice, axis=1)
    assert distances.min() < 1e-3
    return int(site_class[distances.argmin()])


def test_the_cell_is_drawn_whole() -> None:
    """Rock salt-like corners: a site at the origin is drawn on all eight corners."""
    crystal = CRYSTALS["mp-441"]
    cell, _ = neighbour_distances(crystal, SPHERE)
    centred = Crystal("", cell.lattice, cell.atomic_numbers, cell.frac_coords - cell.frac_coords[0])
    drawn = geometry.atoms(centred, featurize(crystal, SPHERE))
    at_corners = [atom for atom in drawn if atom["elem"] == drawn[0]["elem"]]
    assert len(drawn) > len(cell.atomic_numbers)
    assert len(at_corners) >= 8
    for number, atom in enumerate(drawn):
        bonds = atom["bonds"]
        assert isinstance(bonds, list)
        assert number not in bonds
    edges = np.array(geometry.edges(cell.lattice))
    lengths = sorted(np.linalg.norm(edges[:, 1] - edges[:, 0], axis=1))
    np.testing.assert_allclose(lengths, sorted(np.repeat(np.linalg.norm(cell.lattice, axis=1), 4)), atol=1e-3)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def data(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data"), inputs)


@pytest.fixture(scope="module")
def checkpoints(inputs: Inputs, data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    found = []
    for epochs in (1, 2):
        checksum = Manifest.read(data / "manifest.json").structures_sha256
        job = replace(inputs.job(tmp_path_factory.mktemp("run"), max_epochs=epochs), data_checksum=checksum)
        train(job)
        found.append(job.folder / "best.pt")
    return found


def test_nearest_to_a_training_crystal_is_that_crystal(inputs: Inputs, data: Path, checkpoints: list[Path]) -> None:
    table = pd.read_parquet(inputs.fold_table)
    learnt = table[table["part"] == "train"].set_index("id")["target"]
    predictor = Predictor.load(checkpoints[0], "cpu")
    crystal = CRYSTALS[learnt.index[3]]
    found = nearest_training_crystals(predictor, featurize(crystal, inputs.features), crystal, data)
    assert (found[0].id, found[0].target) == (crystal.id, learnt.iloc[3])
    assert found[0].distance == pytest.approx(0, abs=1e-5)
    assert [one.distance for one in found] == sorted(one.distance for one in found)
    assert {one.id for one in found} <= set(learnt.index)
    validation = CRYSTALS[table.loc[table["part"] == "validation", "id"].iloc[0]]
    found = nearest_training_crystals(predictor, featurize(validation, inputs.features), validation, data)
    assert validation.id not in {one.id for one in found}


def test_of_a_subset_only_what_was_learnt_from_is_near(inputs: Inputs, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "results/data/gaps"
    shutil.copytree(data, folder)
    checksum = Manifest.read(folder / "manifest.json").structures_sha256
    job = replace(inputs.job(tmp_path / "run", max_epochs=1, max_crystals=9), data_checksum=checksum)
    train(job)
    predictor, store = Predictor.load(job.folder / "best.pt", "cpu"), FeatureStore([inputs.shard])
    crystal = CRYSTALS["mp-441"]
    with pytest.raises(UserError, match=r"cannot read .*features/gaps/"):
        nearest_training_crystals(predictor, featurize(crystal, inputs.features), crystal, folder)
    features = tmp_path / "results/features/gaps" / predictor.trial.feature_id
    features.mkdir(parents=True)
    write_failures(features / FAILURES, [])
    about: dict[str, Any] = {"crystals": 40, "failures": {}, "changed": 0, "pairs": 1, "bytes": 1, "sha256": {}}
    FeatureManifest(**about).write(features / "manifest.json", files=[FAILURES])
    found = nearest_training_crystals(predictor, featurize(crystal, inputs.features), crystal, folder)
    learnt = read_training_data(inputs.fold_table, store, 9, job.key.seed).train.indices
    assert {one.id for one in found} <= {store.ids[place] for place in learnt}
    assert len(found) == NEAREST


def test_a_fold_with_other_crystals_is_refused(
    inputs: Inputs, data: Path, checkpoints: list[Path], tmp_path: Path
) -> None:
    """Splits were drawn anew: what is in the training part now may have been tested on."""
    folder, part = tmp_path / "gaps", "folds/fold0/train.parquet"
    shutil.copytree(data, folder)
    table = pd.read_parquet(folder / part)
    table["part"] = table["part"].to_numpy()[::-1]
    table.to_parquet(folder / part)
    Splits.read(folder / "splits.json").write(folder / "splits.json", files=[part])
    predictor, crystal = Predictor.load(checkpoints[0], "cpu"), CRYSTALS["mp-441"]
    with pytest.raises(UserError, match="learnt from other crystals than those of its fold there"):
        nearest_training_crystals(predictor, featurize(crystal, inputs.features), crystal, folder)


def test_an_explanation_is_of_the_ensemble(checkpoints: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "mine.cif"
    structure_of("mp-23059").to(filename=str(path))
    explanation = explain(str(path), checkpoints)
    values = [value for _, value in explanation.predictions]
    assert explanation.prediction == pytest.approx(np.mean(values))
    assert explanation.spread == pytest.approx(np.std(values, ddof=1))
    total = sum(own.contribution for own in explanation.classes)
    assert total == pytest.approx(explanation.prediction - explanation.empty, abs=1e-5)
    assert sum(own.count for own in explanation.classes) == explanation.n_primitive == 9
    assert len(explanation.heads) == NETWORK.blocks * NETWORK.heads
    assert explanation.neighbours is None


@pytest.mark.parametrize("crystal", ["missing.cif", "broken.cif", "."])
def test_a_crystal_that_cannot_be_used_is_one_line(crystal: str, checkpoints: list[Path], tmp_path: Path) -> None:
    (tmp_path / "broken.cif").write_text("no crystal")
    with pytest.raises(UserError) as caught:
        explain(str(tmp_path / crystal), checkpoints[:1])
    assert "\n" not in str(caught.value)


def test_a_network_that_gives_no_number_is_one_line(checkpoints: list[Path], tmp_path: Path) -> None:
    content = torch.load(checkpoints[0], weights_only=True)
    content["weights"]["output.bias"] += torch.nan
    torch.save(content, tmp_path / "best.pt")
    (tmp_path / "a.vasp").write_text(Poscar(structure_of("mp-441")).get_str())
    with pytest.raises(UserError, match=r"a\.vasp: a network gives no number for this crystal"):
        explain(str(tmp_path / "a.vasp"), tmp_path / "best.pt")


def test_data_of_another_training_are_refused(
    checkpoints: list[Path], data: Path, tmp_path: Path, inputs: Inputs
) -> None:
    manifest = Manifest.read(data / "manifest.json").model_copy(update={"structures_sha256": "d" * 64})
    (tmp_path / "structures.parquet").write_bytes((data / "structures.parquet").read_bytes())
    manifest.write(tmp_path / "manifest.json", files=["structures.parquet"])
    predictor, crystal = Predictor.load(checkpoints[0], "cpu"), CRYSTALS["mp-441"]
    for folder, message in ((tmp_path, "was trained on other data than gaps"), (tmp_path / "no", "cannot read")):
        with pytest.raises(UserError, match=message):
            nearest_training_crystals(predictor, featurize(crystal, inputs.features), crystal, folder)
