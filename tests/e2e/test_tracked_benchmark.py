"""A whole benchmark tracked offline, uploaded with `sitenet sync` and compared with its files, value by value."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from sitenet.config.trial import flatten
from sitenet.records import RunResult
from sitenet.tracking.content import run_identity
from tests.tracked_run import API_KEY
from tests.wandb_server import WandbServer, serving_wandb
from tests.workflow.running import job_counts, snakemake

NAME = "tracked"
CONFIG = {
    "name": NAME,
    "dataset": {"source": "bundled", "name": "mp_dielectric_gap", "max_crystals": 60},
    "splits": {"kind": "kfold", "n_folds": 2, "seed": 0},
    "folds": [0],
    "shards": 1,
    "resamples": 1000,
    "grid": [
        {
            "model": {"kind": "sitenet", "blocks": 1, "attention_hidden": [[16]], "head_hidden": [[16]]},
            "features": {"max_sites": 12},
            "training": {"max_epochs": 2, "learning_rate": [0.002, 0.004]},
        },
        {"model": {"kind": "dummy"}},
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the benchmark ran with tracking as it is by default."""
    folder = tmp_path_factory.mktemp("tracked")
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("WANDB_MODE", "offline")
        environment.setenv("WANDB_API_KEY", API_KEY)
        snakemake("--configfile", folder / "config.yaml", directory=folder)
        yield folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[WandbServer]:
    """A server to which the benchmark was uploaded."""
    with serving_wandb() as server:
        environment = os.environ | {"WANDB_BASE_URL": server.address}
        command = [sys.executable, "-c", "from sitenet.cli import main; main()", "sync", NAME]
        subprocess.run(command, cwd=folder, env=environment, check=True)
        yield server
        assert not server.failures


def records(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("results/runs/*/*/*/*/result.json"))
    assert len(paths) == 3
    return paths


def public(row: dict[str, Any]) -> dict[str, Any]:
    """A row of history without wandb's own values."""
    return {name: value for name, value in row.items() if not name.startswith("_")}


def test_every_run_has_the_values_of_its_record(folder: Path, server: WandbServer) -> None:
    for path in records(folder):
        result = RunResult.read(path)
        run = server.runs[run_identity(result.key, result.kind, "mp_dielectric_gap").id]
        hyperparameters = {name.replace(".", "_"): value for name, value in flatten(result.settings).items()}
        assert run.config | hyperparameters == run.config
        assert run.config["hardware"] == result.hardware
        assert run.config["versions"] == result.versions
        assert result.test
        for name, value in result.test.values.items():
            assert run.summary[f"test_{name}"] == value
        assert run.summary["validation_mae"] == result.validation_error
        assert run.summary["training_seconds"] == result.cost.seconds
        assert run.summary["peak_memory_mb"] == result.cost.peak_memory_mb


def test_every_curve_is_that_of_the_history_file(folder: Path, server: WandbServer) -> None:
    for path in records(folder):
        result, history = RunResult.read(path), path.with_name("history.jsonl")
        run = server.runs[run_identity(result.key, result.kind, "mp_dielectric_gap").id]
        *curve, last = run.history
        lines = history.read_text().splitlines() if history.exists() else []
        rows = [json.loads(line) for line in lines]
        assert [public(row) for row in curve] == [
            {name: value for name, value in row.items() if value is not None} for row in rows
        ]
        picture = run.files[last["parity"]["path"]]
        assert picture.startswith(b"\x89PNG")
        assert hashlib.sha256(picture).hexdigest() == last["parity"]["sha256"]


def test_tables_are_those_of_the_benchmark(folder: Path, server: WandbServer) -> None:
    (row,) = server.runs[f"{NAME}-benchmark"].history
    for name in ("leaderboard", "trials"):
        frame = pd.read_csv(folder / f"results/tables/{NAME}/{name}.csv")
        sent = json.loads(server.runs[f"{NAME}-benchmark"].files[row[name]["path"]])
        pd.testing.assert_frame_equal(
            pd.DataFrame(sent["data"], columns=sent["columns"]), frame, check_dtype=False, check_exact=True
        )
    assert {"leaderboard_figure", "parity_figure", "epoch_curves_figure"} <= row.keys()


def test_artifacts_lead_from_the_data_set_to_the_models(folder: Path, server: WandbServer) -> None:
    artifacts = {a.name: a for a in server.artifacts.values() if not a.name.startswith("run-")}
    run = f"{NAME}-benchmark"
    assert {name for name, a in artifacts.items() if run in a.used_by} == {f"{NAME}-data", f"{NAME}-features"}
    assert {name for name, a in artifacts.items() if a.made_by == run} == {f"{NAME}-models", f"{NAME}-results"}
    data = folder / f"results/data/{NAME}"
    for name in ("structures.parquet", "targets.parquet", "manifest.json"):
        assert artifacts[f"{NAME}-data"].files[name] == (data / name).read_bytes()
    manifest = json.loads((data / "manifest.json").read_text())
    del manifest["checksum"]
    assert artifacts[f"{NAME}-data"].metadata == manifest
    assert artifacts[f"{NAME}-models"].metadata["structures_sha256"] == manifest["structures_sha256"]
    models = {name: content for name, content in artifacts[f"{NAME}-models"].files.items() if name != "manifest"}
    ((name, content),) = models.items()
    kind, *place = name.split("/")
    assert kind == "sitenet"
    assert content == (folder / f"results/runs/{NAME}").joinpath(*place).read_bytes()


def test_no_path_leaves_but_the_one_that_the_documentation_names(folder: Path, server: WandbServer) -> None:
    sent = b"".join(server.requests)
    staging = f"{folder}/results/wandb/{NAME}/artifacts/staging/"
    assert str(folder).encode() not in sent.replace(staging.encode(), b"")
    assert API_KEY.encode() not in sent
    assert str(Path(__file__).parents[2]).encode() not in sent


def test_nothing_is_left_to_upload(folder: Path, server: WandbServer) -> None:
    n_requests = len(server.requests)
    environment = os.environ | {"WANDB_BASE_URL": server.address}
    command = [sys.executable, "-c", "from sitenet.cli import main; main()", "sync"]
    again = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    assert "every run is uploaded" in again.stdout
    assert len(server.requests) == n_requests


@pytest.mark.parametrize(
    ("tracking", "jobs"),
    [({}, set()), ({"mode": "disabled"}, set()), ({"project": "other"}, {"track_benchmark", "all", "total"})],
)
def test_changed_tracking_reruns_no_training(folder: Path, tmp_path: Path, tracking: Any, jobs: set[str]) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG | {"tracking": tracking}))
    plan = snakemake("-n", "--configfile", tmp_path / "config.yaml", directory=folder)
    assert set(job_counts(plan)) == jobs
