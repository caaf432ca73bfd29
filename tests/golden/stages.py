"""What each stage gives for a few real crystals, as plain values that JSON holds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pymatgen.core import Element

from sitenet.config.trial import Trial
from sitenet.data.formula import reduced_formula
from sitenet.data.load import load_dataset
from sitenet.data.sources.bundled import BundledDataset
from sitenet.data.splits.write import write_splits
from sitenet.data.table import write_crystals
from sitenet.evaluation.tables.leaderboard import comparison_table, leaderboard_table
from sitenet.evaluation.tables.trials import trials_table
from sitenet.features.composition import write_composition_features
from sitenet.features.featurize import featurize
from sitenet.features.point_set import PointSet
from sitenet.features.store import FeatureStore
from sitenet.models.random_forest.settings import RandomForestSettings
from sitenet.models.sitenet.settings import SiteNetSettings
from sitenet.models.sitenet_radial.settings import RadialSiteNetSettings
from sitenet.prediction.predictor import predict
from sitenet.settings.features import FeatureSettings
from sitenet.settings.section import Section
from sitenet.settings.splits import KFoldSplits
from sitenet.training.baseline import fit_baseline
from sitenet.training.run import train
from tests.real_crystals import crystals
from tests.training_case import Inputs, write_inputs
from tests.unit.benchmark_runs import results_of, write_benchmark

# Of two to eighteen sites and all kinds of lattices; NiO and WO2 come in two primitive cells.
TEN = (
    "mp-830",
    "mp-2998",
    "mp-984",
    "mp-560588",
    "mp-715434",
    "mp-19372",
    "mp-2815",
    "mp-7048",
    "mp-554089",
    "mp-559550",
)
FEATURES = {
    "supercell of 50 sites": FeatureSettings(max_sites=50),
    "supercell of 100 sites": FeatureSettings(max_sites=100),
    "radius of 4 angstrom": FeatureSettings(radius=4.0),
}

# Recipes that use, between them, what a float32 CPU run can, so strongly that ten steps show it.
NETWORKS: dict[str, tuple[Section, FeatureSettings, dict[str, Any]]] = {
    "sitenet": (SiteNetSettings(), FEATURES["supercell of 50 sites"], {"learning_rate": 2e-3}),
    "sitenet_radial": (
        RadialSiteNetSettings(),
        FEATURES["radius of 4 angstrom"],
        {
            "learning_rate": 2e-3,
            "schedule": "one_cycle",
            "weight_decay": 0.1,
            "amsgrad": False,
            "loss": "huber",
            "standardise_target": True,
            "ema_decay": 0.9,
        },
    ),
}
CRYSTALS, BATCH_PAIRS, PREDICTED = 40, 200, 6


def data(folder: Path) -> dict[str, Any]:
    """Ten of the bundled crystals with their targets, and the parts of their folds."""
    dataset = BundledDataset(source="bundled", name="mp_dielectric_gap", max_crystals=10)
    load_dataset(dataset, folder)
    write_splits(KFoldSplits(kind="kfold", n_folds=3, validation_share=0.2), dataset, folder)
    targets = pd.read_parquet(folder / "targets.parquet")
    folds = {path.name: _parts(path) for path in sorted((folder / "folds").iterdir())}
    return {"targets": dict(zip(targets["id"], targets["target"], strict=True)), "folds": folds}


def _parts(fold: Path) -> dict[str, list[str]]:
    """Ids by part."""
    training, test = (pd.read_parquet(fold / f"{name}.parquet") for name in ("train", "test_inputs"))
    parts = {part: training["id"][training["part"] == part] for part in ("train", "validation")}
    return {name: sorted(ids) for name, ids in (parts | {"test": test["id"]}).items()}


def features(folder: Path) -> dict[str, Any]:
    """What ten crystals become with each kind of feature settings, and their composition features."""
    write_crystals(folder / "ten.parquet", [crystals()[id_] for id_ in TEN])
    write_composition_features(folder / "ten.parquet", folder / "composition.parquet")
    composition = pd.read_parquet(folder / "composition.parquet").set_index("id").sum(axis=1)
    numbers = {}
    for id_ in TEN:
        crystal = crystals()[id_]
        summaries = {name: summary(featurize(crystal, settings)) for name, settings in FEATURES.items()}
        total = {"sum of composition features": round(float(composition[id_]), 2)}
        numbers[f"{id_} {reduced_formula(crystal.atomic_numbers)}"] = summaries | total
    return numbers


def summary(point_set: PointSet) -> dict[str, Any]:
    """Classes and pairs, and sums over all sites that the primitive ones see, rounded to 1e-6."""
    p, apart = point_set, point_set.distances > 0
    rows = np.repeat(np.arange(len(p.row_counts)), p.row_counts)
    weights, d = (p.pair_counts * p.site_counts[rows])[apart], p.distances[apart]
    return {
        "classes": [f"{n} {Element.from_Z(z).symbol}" for n, z in zip(p.site_counts, p.atomic_numbers, strict=True)],
        "images": p.n_images,
        "pairs of each class": p.row_counts.tolist(),
        "sites seen by each class": np.bincount(rows, p.pair_counts).astype(int).tolist(),
        "nearest": round(float(d.min()), 6),
        "sum of distances": round(float(weights @ d), 6),
        "sum of Z / distance": round(float(weights @ (p.atomic_numbers[p.pair_sites][apart] / d)), 6),
    }


def training(folder: Path) -> dict[str, Any]:
    """Two epochs of each network on forty crystals, and a random forest on their compositions."""
    numbers = {}
    for kind, (network, settings, recipe) in NETWORKS.items():
        (folder / kind).mkdir()
        inputs = write_inputs(folder / kind, CRYSTALS, settings)
        job = inputs.job(folder / kind / "run", network, **recipe, max_epochs=2, batch_pairs=BATCH_PAIRS)
        result, history = train(job), pd.read_json(job.folder / "history.jsonl", lines=True)
        columns = ["learning_rate", "train_loss", "train_mae", "validation_mae", "validation_mae_ema"]
        epochs = json.loads(history[columns].to_json(orient="records", double_precision=15))
        frame = predict(job.folder / "best.pt", FeatureStore([inputs.shard]), inputs.ids[:PREDICTED])
        predictions = dict(zip(frame["id"], frame["prediction"], strict=True))
        numbers[kind] = {"parameters": result.n_parameters, "epochs": epochs, "predictions": predictions}
    return numbers | {"random_forest": forest(folder, inputs)}


def forest(folder: Path, inputs: Inputs) -> dict[str, Any]:
    """A small forest, validated and fitted again on all, on the same crystals."""
    write_crystals(folder / "forty.parquet", [crystals()[id_] for id_ in inputs.ids])
    write_composition_features(folder / "forty.parquet", folder / "composition.parquet")
    composition = pd.read_parquet(folder / "composition.parquet")
    frame, ids = pd.read_parquet(inputs.fold_table), inputs.ids[:PREDICTED]
    run = fit_baseline(
        Trial({"model": RandomForestSettings(n_trees=20)}),
        frame,
        ids,
        composition,
        non_negative=True,
        seed=0,
        threads=1,
    )
    predictions = dict(zip(run.predictions["id"], run.predictions["prediction"], strict=True))
    return {"validation_mae": run.validation_error, "predictions": predictions}


def tables(folder: Path) -> dict[str, Any]:
    """Leaderboard, comparisons and trials of a small benchmark whose predictions are made up."""
    runs = write_benchmark(folder)
    results = results_of(runs, n_resamples=500)
    frames = {
        "leaderboard": leaderboard_table(results),
        "comparisons": comparison_table(results.standings),
        "trials": trials_table(results),
    }
    return {name: json.loads(frame.to_json(orient="records", double_precision=15)) for name, frame in frames.items()}
