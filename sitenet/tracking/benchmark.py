"""Publishes a finished benchmark to W&B: every run with its test scores, and one run for the whole benchmark."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import yaml

from sitenet.data.manifest import Manifest
from sitenet.evaluation.figures.parity import run_parity_figure
from sitenet.evaluation.figures.roc import run_roc_figure
from sitenet.evaluation.figures.style import save_figure
from sitenet.evaluation.runs import LeaderboardRow, PlannedRuns, Run, leaderboard_rows
from sitenet.evaluation.selection import Selection
from sitenet.evaluation.statistics.metrics import METRICS_OF
from sitenet.history import read_history
from sitenet.settings.tracking import TrackingSettings
from sitenet.tracking.content import benchmark_identity, result_config, run_identity, summary
from sitenet.tracking.session import Session, image, table
from sitenet.tracking.tasks import Publish

FINISH_SECONDS = 300.0  # for data set, models and tables
# What shows the predictions of one run.
RUN_FIGURES = {"regression": ("parity", run_parity_figure), "classification": ("roc", run_roc_figure)}


def publish(task: Publish) -> str | None:
    """Tracks all runs, then the benchmark.

    Returns:
        The first problem; None if there was none.
    """
    data = Manifest.read(task.manifest)
    runs = [Run.read(path) for path in task.results]
    settings = task.settings
    first_problem = None
    for run in runs:
        problem = _publish_run(run, data.name, settings, task.folder)
        if problem:
            first_problem = first_problem or problem
            settings = settings.model_copy(update={"mode": "offline"})  # instead of waiting again for each run
    problem = _publish_benchmark(task, settings, data, runs)
    return first_problem or problem


def _publish_run(run: Run, dataset: str, settings: TrackingSettings, folder: Path) -> str | None:
    result = run.result
    with Session(settings, run_identity(result.key, result.kind, dataset), folder) as session:
        session.describe(result_config(result))
        session.log_epochs(read_history(run.folder))
        if run.is_scored:
            _log_predictions(session, run)
        session.summarise(summary(result))
    return session.problem


def _log_predictions(session: Session, run: Run) -> None:
    name, draw = RUN_FIGURES[run.task.name]
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.png"
        save_figure(draw(run), [path])
        session.log({name: image(path, "test crystals")}, step=(run.result.epochs or 0) + 1)


def _publish_benchmark(task: Publish, settings: TrackingSettings, data: Manifest, runs: Sequence[Run]) -> str | None:
    config = yaml.safe_load(task.config.read_text(encoding="utf-8"))
    rows = _leaderboard_rows(config, runs, task.selections)
    identity = benchmark_identity(task.benchmark, data.name)
    with Session(settings, identity, task.folder, finish_seconds=FINISH_SECONDS) as session:
        session.describe(
            {"benchmark": task.benchmark, "folds": config["folds"], "seeds": config["seeds"]}
            | {"n_trials": len(config["trials"]), "data": data.model_dump(mode="json")}
        )
        tables = {path.stem: _table(path) for path in task.tables}
        figures = {path.stem + "_figure": image(path, path.stem) for path in task.figures}
        session.log(tables | figures, step=1)
        session.summarise(_scores(rows))
        _log_lineage(session, task, data, rows)
    return session.problem


def _leaderboard_rows(config: dict[str, Any], runs: Sequence[Run], selections: Sequence[Path]) -> list[LeaderboardRow]:
    planned = PlannedRuns.of(config)
    chosen = {fold: Selection.read(path) for fold, path in zip(planned.folds, selections, strict=True)}
    return leaderboard_rows(runs, chosen, planned)


def _scores(rows: Sequence[LeaderboardRow]) -> dict[str, float]:
    """Every metric of every scored model."""
    return {
        f"test_{metric.key}/{row.model}": metric.joined(list(row.fold_scores(metric.key).values()))
        for row in rows
        if row.runs
        for metric in METRICS_OF[row.all_runs[0].task.name]
    }


def _table(path: Path) -> Any:
    kinds = {"trial": str, "reference": str, "model": str}  # which may look like numbers, or like nothing
    frame = pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values=[""]).astype(object)
    return table(frame.columns.tolist(), frame.where(frame.notna(), None).to_numpy().tolist())


def _log_lineage(session: Session, task: Publish, data: Manifest, rows: Sequence[LeaderboardRow]) -> None:
    """Logs data set and features as inputs of the benchmark, and models and results as its outputs.

    Features can be large and follow from the data set, so only their checksums are logged. Models and predictions are
    those shown in the leaderboard.
    """
    origin = {"data": data.name, "structures_sha256": data.structures_sha256}
    tables = [task.manifest.parent / name for name in ("structures.parquet", "targets.parquet")]
    files = {path.name: path for path in [*tables, task.manifest]}
    session.log_artifact(f"{task.benchmark}-data", "dataset", files, data.model_dump(mode="json"), used=True)
    manifests = {f"{path.parent.name}.json": path for path in task.features}
    if manifests:
        session.log_artifact(f"{task.benchmark}-features", "features", manifests, origin, used=True)
    shown = {run.folder: run for row in rows for run in row.all_runs}
    models = {f"{_place(run)}/best.pt": folder / "best.pt" for folder, run in shown.items()}
    models = {name: path for name, path in models.items() if path.exists()}
    if models:
        session.log_artifact(f"{task.benchmark}-models", "model", models, origin)
    results = {path.name: path for path in task.tables}
    for folder, run in shown.items():
        for name in ("result.json", "test_predictions.parquet"):
            results[f"{_place(run)}/{name}"] = folder / name
    session.log_artifact(f"{task.benchmark}-results", "results", results, origin)


def _place(run: Run) -> str:
    key = run.result.key
    return f"{run.result.kind}/{key.trial}/fold{key.fold}/seed{key.seed}"
