"""Another package's network in an environment of its own, which is made here: minutes, and a gigabyte on the disk."""

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.workflow.running import ROOT, snakemake

pytestmark = pytest.mark.slow


def test_megnet_is_trained_from_scratch_by_its_own_package(tmp_path: Path) -> None:
    example, python = tmp_path / "megnet", tmp_path / "megnet/.venv/bin/python"
    shutil.copytree(ROOT / "examples/megnet", example, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    subprocess.run([sys.executable, "-m", "venv", example / ".venv"], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", example / "requirements.txt"], check=True)
    model = {"kind": "external", "folder": "megnet", "command": ".venv/bin/python train.py"}
    config = {
        "name": "small",
        "dataset": {"source": "bundled", "name": "mp_dielectric_gap", "max_crystals": 120},
        "splits": {"kind": "kfold", "n_folds": 2},
        "folds": [0],
        "resamples": 200,
        "grid": [
            {"model": model | {"parameters": {"epochs": 20}}},
            {"model": {"kind": "dummy", "statistic": "median"}},
        ],
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    snakemake("--configfile", tmp_path / "config.yaml", directory=tmp_path)
    rows = pd.read_csv(tmp_path / "results/tables/small/leaderboard.csv").sort_values("mae")
    assert rows["model"].tolist() == ["external (megnet)", "dummy (median)"]
