"""Tasks of the tracker's process."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, RootModel

from sitenet.records import Record, RunKey
from sitenet.settings.tracking import TrackingSettings


class Follow(Record):
    """Track a training run while it runs, from the files in its folder, until standard input ends.

    Attributes:
        settings: Mode, project and entity.
        folder: Where W&B keeps its files.
        dataset: Name of the data set.
        key: Benchmark, trial, fold and seed.
        kind: Model kind.
        hyperparameters: All settings of the trial.
        run_folder: Folder of the training.
        resumed: The training resumes from a checkpoint.
    """

    task: Literal["follow"] = "follow"
    settings: TrackingSettings
    folder: Path
    dataset: str
    key: RunKey
    kind: str
    hyperparameters: dict[str, dict[str, Any]]
    run_folder: Path
    resumed: bool


class Publish(Record):
    """Track all finished runs of a benchmark, with their test scores, and the benchmark as a whole.

    Attributes:
        settings: Mode, project and entity.
        folder: Where W&B keeps its files.
        benchmark: Name of the benchmark.
        manifest: `manifest.json` of the data set, beside its tables.
        features: `manifest.json` of each feature set.
        results: `result.json` of each run.
        selections: `selection.json` of each fold, in the order of the configuration.
        config: The resolved configuration.
        tables: Tables as CSV files.
        figures: Figures as PNG files.
    """

    task: Literal["publish"] = "publish"
    settings: TrackingSettings
    folder: Path
    benchmark: str
    manifest: Path
    features: list[Path]
    results: list[Path]
    selections: list[Path]
    config: Path
    tables: list[Path]
    figures: list[Path]


class Task(RootModel[Annotated[Follow | Publish, Field(discriminator="task")]]):
    """One of the two tasks, as a line of JSON."""
