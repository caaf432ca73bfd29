"""The analysis of attention: against all pairs of a supercell one by one, and against plain formulas."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from sitenet.config.trial import Trial
from sitenet.data.table import CrystalTable, bundled_path
from sitenet.errors import UserError
from sitenet.evaluation.attention.record import FILE, AttentionOfRun
from sitenet.evaluation.statistics.rank_correlation import rank_correlation
from sitenet.features.featurize import expand_attention, featurize, neighbour_distances
from sitenet.features.store import FeatureStore
from sitenet.models.base.batch import Batch, collate
from sitenet.models.base.network import AttentionNetwork, Network
from sitenet.models.sitenet_radial.settings import RadialSiteNetSettings
from sitenet.prediction.attention.analysis import Analysis, Cut, analyse_run
from sitenet.settings.analysis import AnalysisSettings
from sitenet.settings.features import FeatureSettings
from sitenet.settings.section import Section
from sitenet.settings.training import TrainingSettings
from sitenet.training.run import train
from tests.training_case import NETWORK, RADIAL_NETWORK, write_inputs

CRYSTALS = list(CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals(0, 12))
SPHERE = FeatureSettings(radius=4.0)
SMALL: dict[str, Any] = {"blocks": 2, "heads": 2, "width": 16, "hidden_width": 8, "radial_functions": 8}
CASES = {
    "supercell": (NETWORK, FeatureSettings(max_sites=30)),
    "cutoff": (NETWORK.model_copy(update={"cutoff": 4.0}), FeatureSettings(max_sites=30)),
    "radial": (RADIAL_NETWORK, FeatureSettings(max_sites=30)),
    "everything": (
        RadialSiteNetSettings(
            **SMALL, cutoff=4.5, envelope=True, moments=2, moment_channels=4, moment_invariants=4, gate_channels=8
        ),
        FeatureSettings(radius=5.0, moments=2),
    ),
}


def build(network: Section, features: FeatureSettings) -> AttentionNetwork:
    torch.manual_seed(1)
    trial = Trial({"model": network, "features": features, "training": TrainingSettings()})
    return trial.build(False).double().eval()


def batch_of(features: FeatureSettings, reduced: bool = True) -> Batch:
    settings = features if reduced else features.model_copy(update={"distance_tolerance": 0.0})
    return collate([featurize(crystal, settings) for crystal in CRYSTALS], torch.float64)


@torch.no_grad()
def analysis(network: AttentionNetwork, batch: Batch) -> Analysis:
    found = Analysis()
    found.add(network, batch)
    return found


@pytest.mark.parametrize("case", CASES)
def test_merged_pairs_count_as_often_as_they_occur(case: str) -> None:
    """The same numbers as from a row of pairs for every site, in which each supercell site is a pair."""
    network, features = build(*CASES[case]), CASES[case][1]
    reduced, plain = (analysis(network, batch_of(features, reduced)) for reduced in (True, False))
    assert len(batch_of(features).distances) < 0.5 * len(batch_of(features, False).distances)
    pd.testing.assert_frame_equal(reduced.head_table(), plain.head_table(), rtol=1e-4)
    pd.testing.assert_frame_equal(reduced.profile_table(), plain.profile_table(), rtol=1e-3, atol=1e-4)
    columns = ["coefficient", "n_sites", "n_elements", "mean_atomic_number", "mean_electronegativity", "ionicity"]
    first, second = (pd.concat(found.crystals)[columns] for found in (reduced, plain))
    pd.testing.assert_frame_equal(first, second, rtol=1e-4)
    maps = [found.map_table().groupby("distance")["pairs"].sum() for found in (reduced, plain)]
    pd.testing.assert_series_equal(maps[0], maps[1])


def expanded(network: AttentionNetwork, features: FeatureSettings, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (P, S, T) of all pairs of a crystal and their distances (P, S), as `predict --attention` has them."""
    crystal = CRYSTALS[number]
    _, distances = neighbour_distances(crystal, features)
    blocks = network.attention(collate([featurize(crystal, features)], torch.float64))
    maps = [expand_attention(crystal, features, block.numpy()) for block in blocks]
    return np.concatenate(maps, axis=2), distances.reshape(len(distances), -1)


@pytest.mark.parametrize("case", ["supercell", "everything"])
def test_numbers_are_those_of_the_whole_maps(case: str) -> None:
    network, features = build(*CASES[case]), CASES[case][1]
    found = analysis(network, batch_of(features))
    rows, largest = [], []
    for number in range(len(CRYSTALS)):
        weights, distances = expanded(network, features, number)
        itself = distances == 0
        entropy = -(np.where(weights > 0, weights * np.log(np.where(weights > 0, weights, 1)), 0)).sum(axis=1)
        rows.append([weights[itself].mean(axis=0), entropy.mean(axis=0)])
        rows[-1].append((weights * distances[:, :, None]).sum(axis=1).mean(axis=0))
        largest.append((weights * np.where(distances < 100, distances, 0)[:, :, None]).max())
    own, entropy, product = np.mean(rows, axis=0)
    table = found.head_table()
    np.testing.assert_allclose(table["self_weight"], own, rtol=1e-6)
    np.testing.assert_allclose(table["entropy"], entropy, rtol=1e-6)
    np.testing.assert_allclose(table["mean_distance"], product / (1 - own), rtol=1e-4)
    np.testing.assert_allclose(pd.concat(found.crystals)["coefficient"], largest, rtol=1e-4)


def test_equal_weights_are_those_of_a_network_without_preferences() -> None:
    network, features = CASES["radial"]
    model = build(network, features)
    with torch.no_grad():
        for name, values in model.named_parameters():
            if "attention.project" in name or "attention.radial" in name:
                values.zero_()
    table = analysis(model, batch_of(features)).head_table()
    for name in ("entropy", "mean_distance", "half_distance"):
        np.testing.assert_allclose(table[name], table[f"uniform_{name}"], rtol=1e-6)


@pytest.mark.parametrize("case", ["supercell", "radial"])
def test_a_cut_network_is_one_with_this_cutoff(case: str) -> None:
    """Without an envelope, `cutoff` of the settings does at every prediction what `Cut` does."""
    settings, features = CASES[case]
    network, batch = build(settings, features), batch_of(features)
    shorter = build(settings.model_copy(update={"cutoff": 4.0}), features)
    shorter.load_state_dict(network.state_dict())
    with torch.no_grad():
        cut, expected, whole = Cut(network, 4.0)(batch), shorter(batch), network(batch)
        assert torch.equal(Cut(network, 1e3)(batch), whole)
    torch.testing.assert_close(cut, expected)
    assert differs(cut, whole)


def differs(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().max() > 1e-6)


def test_a_network_without_attention_has_a_reach_alone() -> None:
    class Sum(Network):
        def forward(self, batch: Batch) -> Tensor:
            return torch.ones(batch.n_crystals)

    found, batch = Analysis(), batch_of(SPHERE)
    found.add(Sum(), batch)
    assert found.reach == float(batch.distances.max())
    assert [len(table) for table in (found.head_table(), found.profile_table(), found.map_table())] == [0, 0, 0]


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> tuple[AttentionOfRun, Path]:
    """The analysis of a trained run, and the folder with its files."""
    inputs = write_inputs(tmp_path_factory.mktemp("inputs"))
    job = inputs.job(tmp_path_factory.mktemp("run"), max_epochs=1)
    train(job)
    settings = AnalysisSettings(cutoffs=(3.0, 5.0, 90.0), max_crystals=30)
    best, store = job.folder / "best.pt", FeatureStore([inputs.shard])
    run = analyse_run(best, store, [*inputs.ids, "unknown"], job.key, settings, "cpu")
    run.write(job.folder)
    with pytest.raises(UserError, match="is of another run"):
        analyse_run(best, store, inputs.ids, job.key.model_copy(update={"fold": 1}), settings, "cpu")
    return run, job.folder


def test_a_run_is_analysed_on_a_subset_without_targets(analysed: tuple[AttentionOfRun, Path]) -> None:
    run, _ = analysed
    assert (run.record.n_crystals, len(run.crystals), run.crystals["id"].nunique()) == (30, 30, 30)
    by_cutoff = run.predictions.pivot(index="id", columns="cutoff", values="prediction")
    assert list(by_cutoff) == [3.0, 5.0, 90.0, np.inf]
    assert (by_cutoff[90.0] == by_cutoff[np.inf]).all()
    assert (by_cutoff[3.0] - by_cutoff[np.inf]).abs().max() > 1e-4
    assert "target" not in {column for table in run.tables.values() for column in table}


def test_files_are_read_as_written_and_damage_is_refused(analysed: tuple[AttentionOfRun, Path], tmp_path: Path) -> None:
    run, folder = analysed
    for name, table in AttentionOfRun.read(folder / FILE).tables.items():
        pd.testing.assert_frame_equal(table, run.tables[name])
    for name in (FILE, *run.tables):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "heads.parquet").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"heads\.parquet is damaged"):
        AttentionOfRun.read(tmp_path / FILE)


def test_rank_correlation_is_spearmans_and_its_interval_covers_it() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=300)
    y = x + random.normal(size=300)
    groups = [f"group{i // 2}" for i in range(300)]
    found = rank_correlation(x, y, groups, 2000)
    assert found.value == pytest.approx(spearmanr(x, y).statistic)
    assert found.low < found.value < found.high
    half_width = (found.high - found.low) / 2
    assert half_width == pytest.approx(1.96 * (1 - found.value**2) / np.sqrt(300), rel=0.35)
    assert np.isnan(rank_correlation(x, np.ones(300), groups).value)
    assert np.isnan(rank_correlation(x[:20], y[:20], groups[:20]).low)
