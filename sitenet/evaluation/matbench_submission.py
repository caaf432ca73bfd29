"""Writes predictions as a Matbench submission, `results.json.gz` and `info.json`.

The package `matbench` itself records, scores and validates them, so its leaderboard accepts the files.
"""

import gzip
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sitenet import __version__
from sitenet.config.trial import flatten
from sitenet.data.manifest import Splits
from sitenet.data.matbench_task import official_folds
from sitenet.errors import UserError
from sitenet.evaluation.runs import LeaderboardRow, mean_predictions
from sitenet.files import write_bytes, write_text
from sitenet.models.registry import kinds_of_role

INFO_KEYS = ("authors", "algorithm", "algorithm_long", "bibtex_refs", "notes", "requirements")


def submitted(rows: Sequence[LeaderboardRow]) -> list[LeaderboardRow]:
    """Rows of the leaderboard to submit: those trained here; of a network that has an ensemble, only this."""
    left_out = {*kinds_of_role("predictions"), *(row.kind for row in rows if row.is_ensemble)}
    return [row for row in rows if row.is_ensemble or row.kind not in left_out]


def folders_of(models: Sequence[str]) -> list[str]:
    """A folder for each model, named as the leaderboard asks; numbered where names differ in signs alone."""
    names = [re.sub(r"[^a-z0-9]+", "_", model.lower()).strip("_") for model in models]
    again = [names[:place].count(name) for place, name in enumerate(names)]
    return [f"matbench_v0.1_{name}" + (f"_{n + 1}" if n else "") for name, n in zip(names, again, strict=True)]


def submit(row: LeaderboardRow, splits: Splits, task: str, folder: Path | str) -> dict[int, dict[str, float]]:
    """Writes the submission of one row of the leaderboard; predictions are averaged over seeds.

    `info.json` is filled in except for authors and references; its notes mention folds that are not used whole.

    Returns:
        The scores that `matbench` gives each fold.

    Raises:
        UserError: An official fold is missing, or a fold lacks predictions or targets.
    """
    versions = row.all_runs[0].result.versions if row.runs else {}
    info = {
        "authors": "",
        "algorithm": row.model,
        "algorithm_long": f"Best of {row.candidates} trials on a validation part of each training part; "
        f"predictions averaged over {max(map(len, row.runs.values()), default=0)} seeds.",
        "bibtex_refs": "",
        "notes": " ".join([f"Made by sitenet {__version__}.", *splits.subset_notes(row.runs)]),
        "requirements": {"python": [f"{name}=={version}" for name, version in versions.items()]},
    }
    folds = {fold: mean_predictions(runs).reset_index(names="id") for fold, runs in row.runs.items()}
    parameters = {fold: flatten(runs[0].result.settings) for fold, runs in row.runs.items()}
    return write_submission(task, folds, parameters, info, folder)


def write_submission(
    task: str,
    folds: Mapping[int, pd.DataFrame],
    parameters: Mapping[int, Mapping[str, Any]],
    info: Mapping[str, Any],
    folder: Path | str,
) -> dict[int, dict[str, float]]:
    """Records the predictions of all official folds and writes the two files of a submission.

    Args:
        task: Name of the Matbench task.
        folds: Test predictions of each fold, with the columns id, target and prediction; of classes, a prediction is
            the probability of class 1, from which the package makes classes.
        parameters: Hyperparameters of each fold's model.
        info: Authors, algorithm and so on; the keys are `INFO_KEYS`.
        folder: Folder for `results.json.gz` and `info.json`.

    Returns:
        The scores that `matbench` gives each fold: mae, rmse, mape and max_error; of classes accuracy,
        balanced_accuracy, f1 and rocauc. Its rocauc is that of predicted classes, even where it gets probabilities.

    Raises:
        UserError: A fold, prediction or target is missing; nothing is written.
    """
    expected = {number: test for number, (_, test) in enumerate(official_folds(task))}
    _check(folds, expected)
    _check_info(info)
    benchmark = _record(task, folds, parameters)
    Path(folder).mkdir(parents=True, exist_ok=True)
    content = json.dumps(benchmark.as_dict()).encode()
    write_bytes(Path(folder) / "results.json.gz", gzip.compress(content, mtime=0))
    write_text(Path(folder) / "info.json", json.dumps(dict(info), indent=2) + "\n")
    results = benchmark.tasks_map[task].results
    return {
        number: {name: float(score) for name, score in results[f"fold_{number}"]["scores"].items()} for number in folds
    }


def _check(folds: Mapping[int, pd.DataFrame], expected: Mapping[int, list[str]]) -> None:
    missing = sorted(set(expected) - set(folds))
    if missing:
        raise UserError(f"a Matbench submission needs all official folds; missing: {str(missing)[1:-1]}")
    for number, test in expected.items():
        frame = folds[number]
        absent, extra = len(set(test) - set(frame["id"])), len(set(frame["id"]) - set(test))
        unlabelled = int(frame["target"].isna().sum())
        if absent or extra or len(frame) != len(test) or unlabelled:
            raise UserError(
                f"fold {number} cannot be submitted: of {len(test)} test crystals {absent} have "
                f"no prediction, {extra} predictions are for other crystals, "
                f"and {unlabelled} crystals have no target to score"
            )


def _check_info(info: Mapping[str, Any]) -> None:
    if set(info) != set(INFO_KEYS):
        raise UserError(f"info.json of a submission has the keys {', '.join(INFO_KEYS)}; got {', '.join(info)}")


def _record(task: str, folds: Mapping[int, pd.DataFrame], parameters: Mapping[int, Mapping[str, Any]]) -> Any:
    from matbench.bench import MatbenchBenchmark  # takes seconds to import

    benchmark = MatbenchBenchmark(autoload=False, subset=[task])
    entry = benchmark.tasks_map[task]
    targets = pd.concat([frame.set_index("id")["target"] for frame in folds.values()])
    if entry.metadata.task_type == "classification":
        targets = targets.astype(bool)
    entry.df = pd.DataFrame({entry.metadata.input_type: None, entry.metadata.target: targets})
    for number, frame in sorted(folds.items()):
        ids = entry.validation[entry.folds_map[number]].test
        predictions = frame.set_index("id")["prediction"].astype(float).loc[ids]
        entry.record(number, predictions.to_list(), params=dict(parameters[number]))
    problems = benchmark.validate()
    assert benchmark.is_recorded, "every official fold was recorded above"
    assert not problems, problems
    return benchmark
