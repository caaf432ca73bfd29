"""Networks of other packages in environments of their own, which are made here: minutes, and gigabytes on the disk."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.workflow.running import ROOT, snakemake

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("megnet", {"epochs": 20}),
        ("cgcnn", {"epochs": 20, "batch_size": 8}),
        ("alignn", {"epochs": 20, "batch_size": 8}),
        ("modnet", {"epochs": 100}),
    ],
)
def test_a_network_is_trained_from_scratch_by_its_own_package(
    name: str, parameters: dict[str, Any], tmp_path: Path
) -> None:
    example, python = tmp_path / name, tmp_path / name / ".venv/bin/python"
    shutil.copytree(ROOT / "examples" / name, example, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    subprocess.run([sys.executable, "-m", "venv", example / ".venv"], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", example / "requirements.txt"], check=True)
    model = {"kind": "external", "folder": name, "command": ".venv/bin/python train.py", "parameters": parameters}
    config = {
        "name": "small",
        "dataset": {"source": "bundled", "name": "mp_dielectric_gap", "max_crystals": 120},
        "splits": {"kind": "kfold", "n_folds": 2},
        "folds": [0],
        "resamples": 200,
        "grid": [{"model": model}, {"model": {"kind": "dummy", "statistic": "median"}}],
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    snakemake("--configfile", tmp_path / "config.yaml", directory=tmp_path)
    rows = pd.read_csv(tmp_path / "results/tables/small/leaderboard.csv").sort_values("mae")
    assert rows["model"].tolist() == [f"external ({name})", "dummy (median)"]
