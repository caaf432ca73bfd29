"""Ids of the trials that configurations plan, and predictions of the published networks."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from sitenet.config.benchmark import Benchmark
from sitenet.config.grid import expand_grid
from sitenet.features.featurize import featurize
from sitenet.features.store import FeatureStore, write_shard
from sitenet.models.registry import BUILT_IN
from sitenet.prediction.predictor import predict
from sitenet.training.checkpoint import load_best
from tests.real_crystals import crystals

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
CHECKPOINTS = sorted(RESULTS.glob("**/best.pt"))
# GaN, ZnO, BaTiO3, MoS2 and ZnS: cells of high symmetry, which are primitive within any tolerance.
FIVE = ("mp-830", "mp-1986", "mp-2998", "mp-2815", "mp-560588")


@cache
def benchmarks() -> dict[str, Benchmark]:
    """Every configuration that comes with the package, by its file's name."""
    paths = [ROOT / "config.yaml", *sorted((ROOT / "configs").glob("*.yaml"))]
    return {path.name: Benchmark(yaml.safe_load(path.read_text())) for path in paths}


def trials(_: Path) -> dict[str, Any]:
    """The kind of each planned trial by its id, the ids of feature sets, and what an id leaves out: the defaults."""
    planned = {
        name: {
            "trials": {id_: trial.kind for id_, trial in benchmark.trials.items()},
            "features": sorted(benchmark.feature_sets),
        }
        for name, benchmark in benchmarks().items()
    }
    defaults = {}
    for kind in BUILT_IN:
        (trial,) = expand_grid([{"model": {"kind": kind}}]).values()
        defaults[kind] = {"id": trial.id} | trial.settings
    return {"configurations": planned, "defaults": defaults}


def predictions(folder: Path) -> dict[str, dict[str, float]]:
    """Predictions of each published network for five crystals, in eV."""
    numbers = {}
    for checkpoint in CHECKPOINTS:
        trial = load_best(checkpoint)[0].trial
        shard = folder / f"{trial.feature_id}.arrow"
        if not shard.exists():
            write_shard(shard, [featurize(crystals()[id_], trial.features) for id_ in FIVE], trial.features)
        frame = predict(checkpoint, FeatureStore([shard]), FIVE, device="cpu")
        name = checkpoint.parent.relative_to(RESULTS).as_posix()
        numbers[name] = dict(zip(frame["id"], frame["prediction"], strict=True))
    return numbers
