"""Small benchmarks for the tests of tables and figures: runs on disk as the workflow leaves them."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sitenet.config.grid import expand_grid
from sitenet.evaluation.metrics import compute_metrics
from sitenet.evaluation.runs import Plan, Run
from sitenet.evaluation.selection import Selection, select_trials
from sitenet.records import Cost, RunKey, RunResult

GRID = [
    {
        "model": {"kind": "sitenet", "blocks": [1, 2]},
        "training": {"learning_rate": [8.126e-4, 2e-3], "max_epochs": 3},
    },
    {"model": {"kind": "dummy", "statistic": ["mean", "median"]}},
    {"model": {"kind": "random_forest"}},
]
SIZES = [10, 30, None]
SIZE_GRID = [
    {"model": {"kind": "sitenet"}, "training": {"max_crystals": SIZES}},
    {"model": {"kind": "sitenet_radial"}, "training": {"max_crystals": 10, "max_epochs": 200}},
    {"model": {"kind": "sitenet_radial"}, "training": {"max_epochs": 20}},
    {"model": {"kind": "random_forest"}},
]
TRIALS = {trial: settings.settings for trial, settings in expand_grid(GRID).items()}
SIZE_TRIALS = {trial: settings.settings for trial, settings in expand_grid(SIZE_GRID).items()}
ALL_TRIALS = TRIALS | SIZE_TRIALS
SITENET = [trial for trial, settings in TRIALS.items() if settings["model.kind"] == "sitenet"]
DUMMY_MEAN, DUMMY_MEDIAN = (trial for trial, settings in TRIALS.items() if settings["model.kind"] == "dummy")
FOREST = next(trial for trial, settings in TRIALS.items() if settings["model.kind"] == "random_forest")


def write_run(
    root: Path,
    trial: str,
    fold: int,
    errors: ArrayLike,
    seed: int = 0,
    validation_mae: float = 1.0,
    targets: ArrayLike | None = None,
) -> Run:
    """Writes a scored run whose predictions miss the targets (NaN where unlabelled) by `errors`."""
    folder = root / trial / f"fold{fold}" / f"seed{seed}"
    folder.mkdir(parents=True)
    missed_by = np.asarray(errors, dtype=float)
    target = np.asarray(np.arange(len(missed_by)) if targets is None else targets, dtype=float)
    prediction = np.nan_to_num(target) + missed_by
    ids = [f"mp-{fold}-{i}" for i in range(len(target))]
    predictions = pd.DataFrame({"id": ids, "target": target, "prediction": prediction})
    predictions.to_parquet(folder / "test_predictions.parquet", index=False)
    result = run_result(trial, fold, seed, validation_mae)
    result.model_copy(update={"test": compute_metrics(target, prediction)}).write(folder / "result.json")
    write_history(folder / "history.jsonl", n_epochs=3 + fold)
    return Run.read(folder / "result.json")


def run_result(trial: str, fold: int, seed: int = 0, validation_mae: float = 1.0) -> RunResult:
    """The record of a run before it is scored."""
    settings = ALL_TRIALS[trial]
    kind = settings["model.kind"]
    return RunResult(
        key=RunKey(dataset="gaps", trial=trial, fold=fold, seed=seed),
        kind=kind,
        settings=settings,
        target="band_gap",
        unit="eV",
        n_train=min(90, settings.get("training.max_crystals") or 90),
        n_train_available=100,
        n_validation=10,
        validation_mae=validation_mae,
        n_parameters=1234 if kind == "sitenet" else None,
        epochs=3 if kind == "sitenet" else None,
        cost=Cost(seconds=10.0, peak_memory_mb=100.0 + fold),
        versions={"python": "3.11"},
        hardware={"processor": "abacus", "cores": 2},
        computed_by=("gcc 12.2.0 avx512f",) if kind == "sitenet" else (),
    )


def write_history(path: Path, n_epochs: int) -> None:
    """Writes rows as training leaves them; the first epoch's training error is not known."""
    rows = [
        {
            "epoch": epoch,
            "seconds": 6.0 * epoch,
            "train_mae": None if epoch == 1 else 2.0 / epoch,
            "validation_mae": 2.5 / epoch,
            "validation_mae_ema": None,
        }
        for epoch in range(1, n_epochs + 1)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_benchmark(root: Path, folds: Sequence[int] = (0, 1), n_crystals: int = 12) -> list[Run]:
    """All trials on some folds: sitenet's second trial is best on validation, its third on the test part."""
    errors = dict(zip(SITENET, (0.7, 0.5, 0.4, 0.8), strict=True))
    errors |= {DUMMY_MEAN: 1.3, DUMMY_MEDIAN: 1.2, FOREST: 0.45}
    validation = dict(zip(SITENET, (0.7, 0.5, 0.6, 0.8), strict=True))
    rng = np.random.default_rng(0)
    noise = {fold: rng.uniform(0.5, 1.5, n_crystals) for fold in folds}
    return [
        write_run(root, trial, fold, error * noise[fold], validation_mae=validation.get(trial, error))
        for trial, error in errors.items()
        for fold in folds
    ]


def select(runs: Sequence[Run]) -> dict[int, Selection]:
    """The selection of every fold."""
    folds = {run.result.key.fold for run in runs}
    return {k: select_trials(run.result for run in runs if run.result.key.fold == k) for k in sorted(folds)}


def plan(folds: Sequence[int] = (0, 1), seeds: Sequence[int] = (0,)) -> Plan:
    """Every trial on these folds with these seeds."""
    return Plan(TRIALS, folds, seeds)
