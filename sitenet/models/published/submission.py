"""Submissions to the Matbench leaderboard: predictions of published models for every official fold."""

import gzip
import json
import logging
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sitenet.data.download import fetch
from sitenet.data.manifest import Download
from sitenet.errors import UserError
from sitenet.files import sha256_of

log = logging.getLogger(__name__)
# At a fixed commit, so that the files never change.
BENCHMARKS = (
    "https://raw.githubusercontent.com/materialsproject/matbench/936176db18ca4cd7b38cbd957c017a5bac770c6b/benchmarks"
)


def download_submission(name: str, folder: Path, mirror: str | None = None) -> Download:
    """Downloads `<name>/results.json.gz` to `<name>.json.gz` in `folder`; an existing file is kept.

    Args:
        name: Folder of the submission in Matbench's `benchmarks/`.
        folder: Where the file goes.
        mirror: Folder or URL that holds the submission's folder, in place of the official one.

    Raises:
        UserError: The file cannot be downloaded.
    """
    path = folder / f"{name}.json.gz"
    if not path.exists():
        fetch(f"{(mirror or BENCHMARKS).rstrip('/')}/{name}/results.json.gz", path, None)
    sha256 = sha256_of(path)
    log.info("%s: SHA-256 %s", path, sha256)
    return Download(path=str(path), sha256=sha256)


def read_submission(path: Path, task: str, fold: int, ids: Sequence[str]) -> pd.DataFrame:
    """Predictions of a submission for crystals of one official fold.

    Args:
        path: Its `results.json.gz`.
        task: Name of the Matbench task.
        fold: Number of the official fold.
        ids: Crystals of the fold's test part.

    Returns:
        Columns id and prediction, in the unit of the task's target and in the order of `ids`.

    Raises:
        UserError: The file is damaged, or has no prediction for this task, fold or one of the crystals.
    """
    tasks = _tasks(path)
    if task not in tasks:
        raise UserError(f"{path} has no predictions for {task} (valid: {', '.join(sorted(tasks))})")
    predictions = tasks[task]["results"].get(f"fold_{fold}", {}).get("data", {})
    missing = [id_ for id_ in ids if id_ not in predictions]
    if missing:
        raise UserError(
            f"{path} lacks predictions for {len(missing)} of the {len(ids)} test crystals of fold {fold} of {task}, "
            f"{missing[0]} among them"
        )
    return pd.DataFrame({"id": list(ids), "prediction": [float(predictions[id_]) for id_ in ids]})


def _tasks(path: Path) -> dict[str, Any]:
    try:
        with gzip.open(path) as file:
            return json.load(file)["tasks"]
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is not a readable results.json.gz of Matbench, remove it to fetch it again: {error}"
        ) from None
