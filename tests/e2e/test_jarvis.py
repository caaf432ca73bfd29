"""A task of the JARVIS leaderboard on its official split, through the whole workflow."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.jarvis_files import TASK, records, splits_of, write_files
from tests.workflow.running import job_counts, snakemake

pytestmark = pytest.mark.slow

N = 60


def write_inputs(folder: Path) -> Path:
    """A mirror with both files, in which one record cannot be read and one has no target; and a configuration."""
    rows = records(N)
    splits = splits_of(rows)
    rows[0]["atoms"]["elements"][0] = "Xx"
    rows[2]["optb88vdw_bandgap"] = "na"
    sums = write_files(folder / "mirror", rows, splits)
    network = {"kind": "sitenet_radial", "blocks": 1, "width": 16, "hidden_width": 8, "heads": 2}
    config: dict[str, Any] = {
        "name": "small",
        "dataset": {
            "source": "jarvis",
            "name": TASK,
            "mirror": str(folder / "mirror"),
            "expected_sha256": sums[0],
            "expected_splits_sha256": sums[1],
            "max_failed_share": 0.05,
        },
        "splits": {"kind": "official"},
        "shards": 1,
        "resamples": 200,
        "grid": [
            {"model": network, "features": {"radius": 4.0}, "training": {"max_epochs": 2, "learning_rate": 0.01}},
            {"model": {"kind": "dummy"}},
        ],
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jarvis")
    config = write_inputs(folder)
    counts = job_counts(snakemake("-n", "--configfile", config, directory=folder))
    assert (counts["download"], counts["split"], counts["train"], counts["baseline"]) == (1, 1, 1, 1)
    snakemake("--configfile", config, directory=folder)
    return folder


def test_every_model_is_trained_and_tested_on_the_official_parts(finished: Path) -> None:
    rows = pd.read_csv(finished / "results/tables/small/leaderboard.csv").set_index("model")
    assert set(rows.index) == {"sitenet_radial", "dummy (mean)"}
    parts = splits_of(records(N))
    fold = finished / "results/data/small/folds/fold0"
    train = pd.read_parquet(fold / "train.parquet")
    assert train.loc[train["part"] == "train", "id"].tolist() == list(parts["train"])[2:]
    assert train.loc[train["part"] == "validation", "id"].tolist() == list(parts["val"])
    test = pd.read_parquet(fold / "test_targets.parquet")
    assert dict(zip(test["id"], test["target"], strict=True)) == {i: float(t) for i, t in parts["test"].items()}
    assert (rows["n_test"] == len(parts["test"])).all()
    mean = train["target"].mean()
    assert rows.loc["dummy (mean)", "mae"] == pytest.approx(np.abs(test["target"] - mean).mean())


def test_the_manifest_and_the_tables_say_what_was_not_used(finished: Path) -> None:
    data = finished / "results/data/small"
    manifest = json.loads((data / "manifest.json").read_text())
    assert manifest["counts"] == {"rows": N, "kept": N - 2, "failed": 1, "left_out": 1, "unlabelled": 0}
    assert "JVASP-0,data,unreadable: 'Xx' is not an element" in (data / "failures.csv").read_text()
    notes = (finished / "results/tables/small/leaderboard.md").read_text()
    assert "46 of 48 training crystals (12 of them for validation), 12 of 12 test crystals" in notes


def test_nothing_is_left_to_do_and_a_changed_file_of_splits_is_refused(finished: Path) -> None:
    config = finished / "config.yaml"
    assert "Nothing to be done" in snakemake("-n", "--configfile", config, directory=finished).stdout
    path = finished / f"downloads/{TASK}.json.zip"
    content = path.read_bytes()
    try:
        path.write_bytes(content + b"0")
        run = snakemake("--configfile", config, "--forcerun", "split", directory=finished, check=False)
    finally:
        path.write_bytes(content)
    assert run.returncode != 0
    assert f"downloads/{TASK}.json.zip is missing or has changed since it was downloaded" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_submission_to_matbench_is_not_offered(finished: Path) -> None:
    run = snakemake(
        "-n", "matbench_submission", "--configfile", finished / "config.yaml", directory=finished, check=False
    )
    assert run.returncode != 0
    assert "matbench_submission" in run.stderr


def test_other_splits_of_the_same_crystals_are_planned(finished: Path) -> None:
    config = yaml.safe_load((finished / "config.yaml").read_text())
    config |= {"name": "other", "splits": {"kind": "grouped_kfold", "n_folds": 3}}
    path = finished / "other.yaml"
    path.write_text(yaml.safe_dump(config))
    assert job_counts(snakemake("-n", "--configfile", path, directory=finished))["train"] == 3
