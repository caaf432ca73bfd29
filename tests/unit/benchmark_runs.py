"""Small benchmarks for the tests of tables and figures: runs on disk as the workflow leaves them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sitenet.config.grid import expand_grid
from sitenet.data.manifest import Counts, FoldCounts, Manifest, Splits
from sitenet.evaluation.results import Results
from sitenet.evaluation.runs import PlannedRuns, Run
from sitenet.evaluation.selection import Selection, select_trials
from sitenet.evaluation.standings import compute_standings
from sitenet.evaluation.statistics.metrics import compute_metrics
from sitenet.failures import Failure
from sitenet.history import HistoryRow, write_history
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
SITENET = [trial for trial, settings in TRIALS.items() if settings["model"]["kind"] == "sitenet"]
DUMMY_MEAN, DUMMY_MEDIAN = (trial for trial, settings in TRIALS.items() if settings["model"]["kind"] == "dummy")
FOREST = next(trial for trial, settings in TRIALS.items() if settings["model"]["kind"] == "random_forest")


def write_run(
    root: Path,
    trial: str,
    fold: int,
    errors: ArrayLike,
    seed: int = 0,
    validation_error: float = 1.0,
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
    result = run_result(trial, fold, seed, validation_error)
    result.model_copy(update={"test": compute_metrics(target, prediction)}).write(folder / "result.json")
    write_epochs(folder, n_epochs=3 + fold)
    return Run.read(folder / "result.json")


def run_result(trial: str, fold: int, seed: int = 0, validation_error: float = 1.0) -> RunResult:
    """The record of a run before it is scored."""
    settings = ALL_TRIALS[trial]
    kind = settings["model"]["kind"]
    return RunResult(
        key=RunKey(benchmark="gaps", trial=trial, fold=fold, seed=seed),
        kind=kind,
        settings=settings,
        target="band_gap",
        unit="eV",
        n_train=min(90, settings.get("training", {}).get("max_crystals") or 90),
        n_train_available=100,
        n_validation=10,
        validation_error=validation_error,
        n_parameters=1234 if kind == "sitenet" else None,
        epochs=3 if kind == "sitenet" else None,
        cost=Cost(seconds=10.0, peak_memory_mb=100.0 + fold),
        versions={"python": "3.11"},
        hardware={"processor": "abacus", "cores": 2},
        computed_by=("gcc 12.2.0 avx512f",) if kind == "sitenet" else (),
    )


def write_epochs(folder: Path, n_epochs: int) -> None:
    """Writes a history as training leaves it; the first epoch's training error is not known."""
    rows = [
        HistoryRow(
            epoch=epoch,
            seconds=6.0 * epoch,
            learning_rate=1e-3,
            train_loss=None if epoch == 1 else 2.0 / epoch,
            train_error=None if epoch == 1 else 2.0 / epoch,
            validation_error=2.5 / epoch,
            validation_error_ema=None,
            crystals_per_second=100.0,
        )
        for epoch in range(1, n_epochs + 1)
    ]
    write_history(folder, rows)


def write_benchmark(root: Path, folds: Sequence[int] = (0, 1), n_crystals: int = 30) -> list[Run]:
    """All trials on some folds: sitenet's second trial is best on validation, its third on the test part."""
    errors = dict(zip(SITENET, (0.7, 0.5, 0.4, 0.8), strict=True))
    errors |= {DUMMY_MEAN: 1.3, DUMMY_MEDIAN: 1.2, FOREST: 0.45}
    validation = dict(zip(SITENET, (0.7, 0.5, 0.6, 0.8), strict=True))
    rng = np.random.default_rng(0)
    noise = {fold: rng.uniform(0.5, 1.5, n_crystals) for fold in folds}
    return [
        write_run(root, trial, fold, error * noise[fold], validation_error=validation.get(trial, error))
        for trial, error in errors.items()
        for fold in folds
    ]


def select(runs: Sequence[Run]) -> dict[int, Selection]:
    """The selection of every fold."""
    folds = {run.result.key.fold for run in runs}
    return {k: select_trials(run.result for run in runs if run.result.key.fold == k) for k in sorted(folds)}


def planned(folds: Sequence[int] = (0, 1), seeds: Sequence[int] = (0,)) -> PlannedRuns:
    """Every trial on these folds with these seeds."""
    return PlannedRuns(TRIALS, folds, seeds)


MANIFEST = Manifest(
    name="gaps",
    source="bundled",
    version="v1",
    url="https://example.org/gaps",
    sha256="a" * 64,
    licence="CC BY 4.0",
    citation="Someone (2020)",
    query="",
    target="band_gap",
    unit="eV",
    non_negative=True,
    counts=Counts(rows=1056, kept=24, failed=2, left_out=1030, unlabelled=0),
    filters={"max_crystals": 24},
    failures={"disordered structure": 2},
    structures_sha256="b" * 64,
)
SPLITS = Splits(
    kind="kfold",
    seed=0,
    folds=(
        FoldCounts(train=90, validation=10, test=12, test_unlabelled=0, full_train=100, full_test=12),
        FoldCounts(train=80, validation=10, test=12, test_unlabelled=0, full_train=100, full_test=12),
        FoldCounts(train=90, validation=10, test=12, test_unlabelled=0, full_train=100, full_test=12),
    ),
    sha256="c" * 64,
)


def results_of(
    runs: list[Run],
    plan: PlannedRuns | None = None,
    n_resamples: int = 200,
    selections: dict[int, Selection] | None = None,
    splits: Splits = SPLITS,
    failures: Sequence[Failure] = (),
    changed: Mapping[str, int] | None = None,
    groups: Mapping[str, str] | None = None,
) -> Results:
    """Results of these runs, selected by their validation scores."""
    chosen = select(runs) if selections is None else selections
    standings = compute_standings(runs, chosen, plan or planned(), groups or {}, n_resamples)
    return Results("gaps", standings, runs, MANIFEST, splits, list(failures), changed or {}, groups or {})


def results(runs: list[Run], folds: tuple[int, ...] = (0, 1), seeds: tuple[int, ...] = (0,), **more: Any) -> Results:
    """Results of these runs, of which the ones on these folds with these seeds are planned."""
    return results_of(runs, planned(folds, seeds), **more)
