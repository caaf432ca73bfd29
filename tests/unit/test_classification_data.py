"""Targets that are classes: as users write them, in manifests, folds and configurations."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sitenet.config.benchmark import Benchmark
from sitenet.data.crystal import BadCrystal
from sitenet.data.load import load_dataset
from sitenet.data.manifest import Download, Manifest
from sitenet.data.sources.files import FilesDataset
from sitenet.data.sources.matbench import MatbenchDataset
from sitenet.data.splits.write import write_splits
from sitenet.data.targets import parse_class
from sitenet.errors import UserError
from sitenet.models.predictions.files import Wanted, read_predictions
from sitenet.settings.splits import KFoldSplits
from tests.own_files import REAL, structure

ABOUT: dict[str, Any] = {"source": "files", "name": "own", "target": "wide gap", "task": "classification"}


def parquet(folder: Path, targets: list[Any]) -> Path:
    rows = [
        {"id": crystal.id, "target": target, "structure": json.dumps(structure(crystal).as_dict())}
        for crystal, target in zip(REAL, targets, strict=False)
    ]
    pd.DataFrame(rows).to_parquet(folder / "own.parquet")
    return folder / "own.parquet"


def load(folder: Path, targets: list[Any], **more: Any) -> Manifest:
    settings = FilesDataset(**ABOUT | {"path": str(parquet(folder, targets))} | more)
    return load_dataset(settings, folder / "data")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, 1),
        (False, 0),
        ("true", 1),
        (" FALSE ", 0),
        ("True", 1),
        (1, 1),
        (0.0, 0),
        ("1", 1),
        ("0.0", 0),
        ("1e0", 1),
    ],
)
def test_classes_are_read(value: Any, expected: int) -> None:
    assert parse_class(value) == expected


@pytest.mark.parametrize("value", ["yes", 2, 0.5, "-1", "0.99", "1,0", "inf", [1]])
def test_everything_else_is_no_class(value: Any) -> None:
    with pytest.raises(BadCrystal, match=r"bad target: '.*' is no class, which is true or false, or 1 or 0"):
        parse_class(value)


@pytest.mark.parametrize("value", [None, "", float("nan")])
def test_a_missing_class_is_missing(value: Any) -> None:
    with pytest.raises(BadCrystal, match="missing target"):
        parse_class(value)


@pytest.mark.parametrize("targets", [[True, False, True, True, False, False], [1, 0, 1, 1, 0, 0]])
def test_a_manifest_says_what_was_read(tmp_path: Path, targets: list) -> None:
    manifest = load(tmp_path, targets)
    assert (manifest.task, manifest.positives, manifest.targets, manifest.unit) == ("classification", 3, None, "")
    assert manifest.describe_targets() == ("own: 6 targets of 6 rows are used (wide gap): 3 of class 1, 3 of class 0")
    assert pd.read_parquet(tmp_path / "data" / "targets.parquet")["target"].tolist() == [float(t) for t in targets]
    assert Manifest.read(tmp_path / "data" / "manifest.json") == manifest


def test_numbers_that_are_no_classes_stop_with_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"5 of 6 crystals cannot be used \(5 bad target\)") as caught:
        load(tmp_path, [3.1, 0.7, 1.0, 2.2, 5.0, 4.4])
    assert "\n" not in str(caught.value)
    assert "'3.1' is no class" in (tmp_path / "data" / "unusable.csv").read_text()


def test_one_class_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"data set 'own': a classification needs targets of both classes, and all are 1"
    ):
        load(tmp_path, [True] * 6)


def test_booleans_stay_bad_targets_of_a_regression(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="6 bad target"):
        load(tmp_path, [True] * 6, task="regression", unit="eV")


def test_a_table_of_targets_has_words(tmp_path: Path) -> None:
    folder = tmp_path / "crystals"
    folder.mkdir()
    for number, crystal in enumerate(REAL):
        structure(crystal).to(filename=str(folder / f"{number}.json"))
    lines = [f"{number}.json,{'true' if number % 2 else 'False'}" for number in range(len(REAL))]
    (folder / "targets.csv").write_text("file,target\n" + "\n".join(lines) + "\n")
    manifest = load_dataset(FilesDataset(**ABOUT | {"path": str(folder)}), tmp_path / "data")
    assert manifest.positives == 3


def test_matbench_has_booleans(tmp_path: Path) -> None:
    name = "matbench_mp_is_metal"
    rows = [
        [structure(crystal).as_dict(), target] for crystal, target in zip(REAL, [True, False, None] * 2, strict=True)
    ]
    content = {"index": list(range(6)), "columns": ["structure", "is_metal"], "data": rows}
    path = tmp_path / f"{name}.json.gz"
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    download = Download(path=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    manifest = load_dataset(MatbenchDataset(source="matbench", name=name), tmp_path / "data", download)
    assert (manifest.positives, manifest.counts.unlabelled, manifest.task) == (2, 2, "classification")
    assert "2 of class 1, 2 of class 0" in manifest.describe_targets()


def test_a_fold_needs_both_classes(tmp_path: Path) -> None:
    load(tmp_path, [True, False, False, False, False, False])
    dataset = FilesDataset(**ABOUT | {"path": str(tmp_path / "own.parquet")})
    with pytest.raises(UserError, match=r"fold \d: all \d (train|test) crystals are of class 0"):
        write_splits(KFoldSplits(kind="kfold", n_folds=2), dataset, tmp_path / "data")


def config(grid: list, **dataset: Any) -> dict[str, Any]:
    return {"dataset": ABOUT | {"path": "own.parquet"} | dataset, "splits": {"kind": "kfold"}, "grid": grid}


DUMMY = [{"model": {"kind": "dummy"}}]


@pytest.mark.parametrize(
    ("grid", "dataset", "message"),
    [
        (DUMMY, {"unit": "eV"}, "'dataset.unit' has the value 'eV': leave it out, since the target is a class"),
        (DUMMY, {"non_negative": True}, "'dataset.non_negative' has the value True: leave it out"),
        (DUMMY, {"task": "regression"}, "'dataset.unit' is missing"),
        (DUMMY, {"task": "classify"}, "input should be 'regression' or 'classification'"),
        ([{"model": {"kind": "sitenet"}, "training": {"loss": "mse"}}], {}, "'training.loss' has the value 'mse'"),
        (
            [{"model": {"kind": "sitenet"}, "training": {"standardise_target": [False, True]}}],
            {},
            "'training.standardise_target' has the value True",
        ),
    ],
)
def test_what_means_nothing_for_classes_is_refused(grid: list, dataset: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Benchmark(config(grid, **dataset))


def test_errors_of_classes_are_not_compared_with_another_benchmark() -> None:
    with pytest.raises(UserError, match="'compare_to' has the value 'other': leave it out, since the target"):
        Benchmark(config(DUMMY) | {"compare_to": "other"})


def test_a_search_draws_no_loss() -> None:
    entry = {"model": {"kind": "sitenet"}, "training": {"loss": {"choice": ["l1", "huber"]}}}
    with pytest.raises(UserError, match=r"'training.loss' has the value 'huber': leave it out"):
        Benchmark(config([entry]) | {"search": {"trials": 4}})


def test_a_baseline_without_a_classifier_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from sitenet.config import targets
    from sitenet.models.registry import model_kinds

    kinds = dict(model_kinds())
    kinds["dummy"] = replace(kinds["dummy"], classifier="")
    monkeypatch.setattr(targets, "model_kinds", lambda: kinds)
    with pytest.raises(UserError, match="the model kind 'dummy' is for regression"):
        Benchmark(config(DUMMY))


def test_a_regression_is_written_as_before() -> None:
    settings = Benchmark(config(DUMMY, task="regression", unit="eV")).settings.dataset
    assert "task" not in settings.model_dump(mode="json")
    assert Benchmark(config(DUMMY)).settings.dataset.model_dump(mode="json")["task"] == "classification"


def test_predictions_of_a_file_are_probabilities_or_classes(tmp_path: Path) -> None:
    path, ids = tmp_path / "own.csv", ["a", "b", "c", "d"]
    path.write_text("id,prediction\na,0.25\nb,true\nc,False\nd,1\n")
    wanted = Wanted("own", 0, 0, ids, task="classification")
    assert read_predictions(path, wanted)["prediction"].tolist() == [0.25, 1, 0, 1]
    path.write_text("id,prediction\na,0.25\nb,1.01\nc,-0.1\nd,metal\n")
    with pytest.raises(
        UserError, match=r"has a prediction that is no probability from 0 to 1 for 3 of the 4 .*: b, c, d"
    ):
        read_predictions(path, wanted)


def test_submissions_have_booleans_or_probabilities(tmp_path: Path) -> None:
    path, name = tmp_path / "results.json.gz", "matbench_mp_is_metal"
    content = {"tasks": {name: {"results": {"fold_0": {"data": {"a": True, "b": False, "c": 0.75}}}}}}
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    found = read_predictions(path, Wanted(name, 0, 0, ["a", "b", "c"], task="classification"))
    assert found["prediction"].tolist() == [1, 0, 0.75]
