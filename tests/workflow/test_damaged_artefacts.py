"""A file that was damaged or swapped after it was written is refused by the job that reads it, in one line."""

import json
import random
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from sitenet.config.benchmark import Benchmark
from sitenet.config.trial import Trial
from sitenet.errors import UserError
from sitenet.prediction.predictor import Predictor
from sitenet.training.checkpoint import load_best
from tests.workflow.running import snakemake

CONFIG = {
    "name": "small",
    "dataset": {"source": "bundled", "name": "mp_dielectric_gap", "max_crystals": 60},
    "splits": {"kind": "kfold", "n_folds": 2},
    "shards": 2,
    "resamples": 100,
    "grid": [
        {
            "model": {"kind": "sitenet_radial", "width": 16, "blocks": 1},
            "features": {"radius": 3.0, "descriptor": "chgnet"},
            "training": {"max_epochs": 1},
        },
        {"model": {"kind": "random_forest", "n_trees": 5}},
    ],
}


class Workspace:
    """A finished benchmark, and the jobs of its fold 0 as Snakemake would hand them to their scripts."""

    def __init__(self, root: Path):
        self.benchmark = Benchmark(CONFIG)
        (self.network,), (self.forest,) = self.benchmark.networks.values(), self.benchmark.baselines.values()
        results = root / "results"
        self.data, self.runs = results / "data/small", results / "runs/small"
        self.features = results / "features/small" / self.network.feature_id
        self.described = results / "descriptors/small/chgnet-0.01"
        self.composition = results / "features/small/composition.parquet"
        self.fold = self.data / "folds/fold0"

    def run(self, trial: str, fold: int = 0) -> Path:
        return self.runs / trial / f"fold{fold}" / "seed0"

    def job(self, rule: str) -> None:
        """Runs a job's script on the files as they are."""
        trial = self.forest if rule == "baseline" else self.network
        run, elsewhere = self.run(trial.id), self.runs.parents[1] / "redone"
        elsewhere.mkdir(exist_ok=True)
        place = {"trial": trial.id, "fold": "0", "seed": "0"}
        place = {"featurize": {"shard": "0"}, "pooled_descriptors": {"descriptor": "chgnet"}}.get(rule, place)
        dataset = self.benchmark.settings.dataset.model_dump(mode="json")
        import_module(f"workflow_scripts.{rule}").main(
            SimpleNamespace(
                input=SimpleNamespace(**self._inputs(rule, run)),
                params=SimpleNamespace(**self._params(rule, trial)),
                config=CONFIG | {"dataset": dataset, "tracking": {"mode": "disabled"}},
                wildcards=Wildcards(place),
                output=Outputs(run if rule == "train" else elsewhere, rule),
                resources=SimpleNamespace(get=lambda *_: None, checkpoint_seconds=20),
                threads=1,
            )
        )

    def _inputs(self, rule: str, run: Path) -> dict[str, Any]:
        features = self.features / "manifest.json"
        common = {"data": self.data / "manifest.json", "splits": self.data / "splits.json"}
        table, composition = self.data / "structures.parquet", self.composition
        train, ids = self.fold / "train.parquet", self.fold / "test_inputs.parquet"
        described, records = (sorted(map(str, self.described.glob(f"*.{ending}"))) for ending in ("parquet", "json"))
        own: dict[str, dict[str, Any]] = {
            "composition_features": {"structures": table},
            "featurize": {"structures": table, "described": described[:1], "described_record": records[:1]},
            "pooled_descriptors": {"shards": described, "records": records},
            "split": {"targets": self.data / "targets.parquet", "structures": [], "features": [], "download": []},
            "collect_features": {"shards": self._shards()},
            "train": {"features": features, "train": train, "ids": ids, "start": []},
            "baseline": {"features": [composition], "features_records": [composition.with_suffix(".json")]},
            "score": {"predictions": run / "predictions.parquet", "record": run / "predictions.json"},
            "tables_so_far": {"features": [features], "structures": table},
        }
        own["baseline"] |= {"train": train, "ids": ids}
        own["score"] |= {"run": run / "run.json", "targets": self.fold / "test_targets.parquet"}
        return common | own[rule]

    def _params(self, rule: str, trial: Trial) -> dict[str, Any]:
        common = {"benchmark": "small", "settings": trial.settings, "shards": self._shards()}
        results = sorted(map(str, self.runs.glob("*/*/*/result.json")))
        own: dict[str, dict[str, Any]] = {
            "featurize": {"features": self.network.features.model_dump(mode="json"), "shards": 2},
            "split": {"splits": self.benchmark.settings.splits.model_dump(mode="json")},
            "tables_so_far": {"results": results, "stages": []},
        }
        return common | own.get(rule, {})

    def _shards(self) -> list[str]:
        return sorted(map(str, self.features.glob("*.arrow")))


class Wildcards(dict):
    """Values by name, as attributes too."""

    def __getattr__(self, name: str) -> str:
        return self[name]


OUTPUTS = {
    "table": "composition.parquet",
    "predictions": "predictions.parquet",
    "record": "predictions.json",
    "run": "run.json",
    "failures": "failures.csv",
    "manifest": "manifest.json",
    "shard": "shard0of2.arrow",
    "result": "result.json",
}


class Outputs:
    """Every output is a file in one folder."""

    def __init__(self, folder: Path, rule: str):
        self._folder = folder
        self._names = OUTPUTS | ({"predictions": "test_predictions.parquet"} if rule == "score" else {})

    def __getattr__(self, name: str) -> str:
        return str(self._folder / self._names[name])

    def __getitem__(self, _: int) -> str:
        return str(self._folder)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    snakemake("--configfile", folder / "config.yaml", directory=folder)
    return folder


@pytest.fixture
def workspace(finished: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(finished / "results", tmp_path / "results")
    return Workspace(tmp_path)


def flip(path: Path, seed: int = 0) -> None:
    """Flips one bit in the middle half of a file."""
    content = bytearray(path.read_bytes())
    place = random.Random(seed).randrange(len(content) // 4, 3 * len(content) // 4)
    content[place] ^= 1 << random.Random(seed + 1).randrange(8)
    path.write_bytes(bytes(content))


def truncate(path: Path) -> None:
    """Keeps the first half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    """Keeps nothing."""
    path.write_bytes(b"")


READ = [
    ("featurize", "data/small/structures.parquet"),
    ("featurize", "descriptors/small/chgnet-0.01/shard0of2.parquet"),
    ("featurize", "descriptors/small/chgnet-0.01/shard0of2.json"),
    ("pooled_descriptors", "descriptors/small/chgnet-0.01/shard1of2.parquet"),
    ("composition_features", "data/small/structures.parquet"),
    ("split", "data/small/targets.parquet"),
    ("split", "data/small/manifest.json"),
    ("collect_features", "features/small/{features}/shard0of2.arrow"),
    ("collect_features", "features/small/{features}/shard0of2.json"),
    ("collect_features", "features/small/{features}/shard0of2.failures.csv"),
    ("train", "data/small/folds/fold0/train.parquet"),
    ("train", "data/small/folds/fold0/test_inputs.parquet"),
    ("train", "data/small/splits.json"),
    ("train", "features/small/{features}/shard1of2.arrow"),
    ("train", "features/small/{features}/manifest.json"),
    ("train", "runs/small/{network}/fold0/seed0/last.pt"),
    ("baseline", "features/small/composition.parquet"),
    ("baseline", "features/small/composition.json"),
    ("baseline", "data/small/folds/fold0/train.parquet"),
    ("score", "runs/small/{network}/fold0/seed0/predictions.parquet"),
    ("score", "runs/small/{network}/fold0/seed0/predictions.json"),
    ("score", "data/small/folds/fold0/test_targets.parquet"),
    ("tables_so_far", "runs/small/{network}/fold0/seed0/result.json"),
    ("tables_so_far", "runs/small/{network}/fold0/seed0/test_predictions.parquet"),
    ("tables_so_far", "runs/small/{network}/fold0/seed0/history.jsonl"),
    ("tables_so_far", "features/small/{features}/failures.csv"),
    ("tables_so_far", "data/small/failures.csv"),
    ("tables_so_far", "data/small/targets.parquet"),
    ("tables_so_far", "data/small/structures.parquet"),
]


def test_intact_files_pass(workspace: Workspace) -> None:
    """Each job ends without an error and has written something."""
    for rule in dict.fromkeys(rule for rule, _ in READ):
        if rule != "train":  # which would go on in the run's own folder; the others below refuse before they write
            workspace.job(rule)
    assert (workspace.runs.parents[1] / "redone" / "leaderboard.md").exists()


@pytest.mark.parametrize("damage", [flip, truncate, empty])
@pytest.mark.parametrize(("rule", "artefact"), READ, ids=lambda value: value.rsplit("/", 1)[-1])
def test_damage_is_refused(workspace: Workspace, rule: str, artefact: str, damage: Callable[[Path], None]) -> None:
    names = {"features": workspace.network.feature_id, "network": workspace.network.id}
    path = workspace.data.parents[1] / artefact.format(**names)
    damage(path)
    with pytest.raises(UserError) as refused:
        workspace.job(rule)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value) or path.name in str(refused.value)


def test_lattices_of_another_table_are_not_featurized(workspace: Workspace) -> None:
    path = workspace.data / "structures.parquet"
    table = pd.read_parquet(path)
    table["lattice"] = table["lattice"] * 1.1
    table.to_parquet(path)
    with pytest.raises(
        UserError, match=r"structures.parquet is damaged or was changed since manifest.json was written"
    ):
        workspace.job("featurize")


def test_predictions_of_another_fold_are_refused(workspace: Workspace) -> None:
    """Their network was trained on the test crystals of this one."""
    here, there = workspace.run(workspace.network.id, 0), workspace.run(workspace.network.id, 1)
    for name in ("predictions.parquet", "predictions.json"):
        shutil.copy(there / name, here / name)
    with pytest.raises(UserError, match=r"is of another run \(benchmark small, trial \w+, fold 1, seed 0\)"):
        workspace.job("score")


def test_a_better_result_written_by_hand_is_refused(workspace: Workspace) -> None:
    path = workspace.run(workspace.network.id) / "result.json"
    values = json.loads(path.read_text())
    values["test"]["values"]["mae"] = 0.01
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match=r"result.json is damaged or was changed"):
        workspace.job("tables_so_far")


def test_a_flipped_bit_of_a_checkpoint_is_seen_or_harmless(workspace: Workspace, tmp_path: Path) -> None:
    best = workspace.run(workspace.network.id) / "best.pt"
    _, _, weights = load_best(best)
    copy, refused = tmp_path / "copy.pt", 0
    for seed in range(150):
        content = bytearray(best.read_bytes())
        place = random.Random(seed)
        content[place.randrange(len(content))] ^= 1 << place.randrange(8)
        copy.write_bytes(bytes(content))
        try:
            _, _, found = load_best(copy)
        except UserError:
            refused += 1
            continue
        assert all(torch.equal(found[name], weights[name]) for name in weights)
    assert refused > 100


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("weights"),
        lambda content: content.update(weights=[1, 2]),
        lambda content: content.update(weights={"a": 1.0}),
        lambda content: content.update(metadata="[1]"),
        lambda content: content.update(metadata=json.dumps({"format": 1, "best": {}, "description": {}})),
        lambda content: content.update(metadata=3),
    ],
)
def test_malformed_checkpoints_end_in_one_line(workspace: Workspace, change: Callable[[dict], Any]) -> None:
    best = workspace.run(workspace.network.id) / "best.pt"
    content = torch.load(best, weights_only=True)
    change(content)
    torch.save(content, best)
    with pytest.raises(UserError, match=r"best.pt is not a readable checkpoint"):
        Predictor.load(best)


def test_published_checkpoints_without_records_are_read(workspace: Workspace, tmp_path: Path) -> None:
    best = workspace.run(workspace.network.id) / "best.pt"
    lonely = Path(shutil.copy(best, tmp_path / "network.pt"))
    mean = Predictor.load(lonely).description.mean_target
    assert mean is not None
    assert np.isfinite(mean)
