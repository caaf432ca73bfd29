"""Published predictions: fetched once, read for a fold, and refused with one line where they do not serve."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sitenet.data.matbench_task import official_folds
from sitenet.errors import UserError
from sitenet.files import sha256_of
from sitenet.models.predictions.files import Wanted, read_predictions
from sitenet.models.published import download as matbench_submission
from sitenet.models.published.download import download_submission
from tests.http_server import serving
from tests.shared_data import SHARED, needs_matbench

NAME, TASK = "matbench_v0.1_alignn", "matbench_mp_gap"
PREDICTIONS = {"mb-mp-gap-000001": 0.5, "mb-mp-gap-000002": 1.5}


def content(predictions: dict[str, float] | None = None) -> bytes:
    """A file in the layout of `MatbenchBenchmark.to_file`, cut down to one fold of one task."""
    results = {"fold_1": {"data": predictions or PREDICTIONS, "parameters": {}, "scores": {}}}
    return gzip.compress(json.dumps({"tasks": {TASK: {"results": results}}}).encode())


def write(folder: Path, data: bytes) -> Path:
    path = folder / NAME / "results.json.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return path


def test_a_submission_is_fetched_once_from_the_pinned_commit(tmp_path: Path, monkeypatch: Any) -> None:
    asked: list[str] = []

    def answer(request: Any) -> tuple[int, dict[str, str], bytes]:
        asked.append(request.path)
        return 200, {}, content()

    with serving(answer) as address:
        monkeypatch.setattr(matbench_submission, "BENCHMARKS", f"{address}benchmarks")
        for _ in range(2):
            download = download_submission(NAME, tmp_path / "downloads")
    assert asked == [f"/benchmarks/{NAME}/results.json.gz"]
    assert download.path == str(tmp_path / "downloads" / f"{NAME}.json.gz")
    assert download.sha256 == sha256_of(Path(download.path))


def test_a_mirror_serves_where_there_is_no_internet(tmp_path: Path) -> None:
    write(tmp_path / "mirror", content())
    download = download_submission(NAME, tmp_path / "downloads", str(tmp_path / "mirror"))
    frame = read_predictions(Path(download.path), Wanted(TASK, 1, 0, list(PREDICTIONS)[::-1]))
    assert frame.to_dict("list") == {"id": list(PREDICTIONS)[::-1], "prediction": [1.5, 0.5]}


def test_a_missing_submission_is_one_line_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"cannot copy .*{NAME}/results.json.gz"):
        download_submission(NAME, tmp_path / "downloads", str(tmp_path))


@pytest.mark.parametrize(
    ("task", "fold", "ids", "message"),
    [
        (
            "matbench_phonons",
            1,
            list(PREDICTIONS),
            r"results.json.gz has no predictions for matbench_phonons",
        ),
        (TASK, 0, list(PREDICTIONS), "lacks predictions for 2 of the 2 test crystals of fold 0"),
        (TASK, 1, [*PREDICTIONS, "mb-mp-gap-000003"], "1 of the 3 test crystals of fold 1, seed 0: mb-mp-gap-000003"),
    ],
)
def test_what_a_submission_lacks_is_counted(tmp_path: Path, task: str, fold: int, ids: list[str], message: str) -> None:
    with pytest.raises(UserError, match=rf"^{tmp_path}\S+{message}" if message.startswith("results") else message):
        read_predictions(write(tmp_path, content()), Wanted(task, fold, 0, ids))


@pytest.mark.parametrize(
    "data",
    [b"not gzip", gzip.compress(b"{"), gzip.compress(b"[]"), content()[:40]],
    ids=["no gzip", "no JSON", "no tasks", "cut off"],
)
def test_damaged_files_are_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UserError, match="is not a readable results"):
        read_predictions(write(tmp_path, data), Wanted(TASK, 1, 0, list(PREDICTIONS)))


@needs_matbench
def test_an_official_submission_has_its_published_error(tmp_path: Path) -> None:
    download = download_submission(NAME, tmp_path, str(SHARED / "data" / "matbench_results"))
    _, test = official_folds(TASK)[1]
    columns = pd.read_parquet(SHARED / "data" / f"{TASK}.parquet", columns=["mbid", "gap_pbe"]).set_index("mbid")
    predictions = read_predictions(Path(download.path), Wanted(TASK, 1, 0, test))["prediction"]
    error = np.abs(predictions.to_numpy() - columns.loc[test, "gap_pbe"].to_numpy()).mean()
    assert round(float(error), 4) == 0.1852  # Matbench's leaderboard
