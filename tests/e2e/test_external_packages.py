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
GRID = yaml.safe_load((ROOT / "configs/examples.yaml").read_text())["grid"]


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
    (model,) = (entry["model"] for entry in GRID if entry["model"].get("name", "").lower().startswith(name))
    folder, environment = tmp_path / model["folder"], model["command"].split("/")[0]  # such as .venv-cgcnn
    shutil.copytree(ROOT / model["folder"], folder, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    subprocess.run([sys.executable, "-m", "venv", folder / environment], check=True)
    requirements = folder / f"{environment.replace('.venv', 'requirements')}.txt"
    python = folder / environment / "bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", requirements], check=True)
    config = {
        "name": "small",
        "dataset": {"source": "bundled", "name": "mp_dielectric_gap", "max_crystals": 120},
        "splits": {"kind": "kfold", "n_folds": 2},
        "folds": [0],
        "resamples": 200,
        "grid": [{"model": model | {"parameters": parameters}}, {"model": {"kind": "dummy", "statistic": "median"}}],
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    snakemake("--configfile", tmp_path / "config.yaml", directory=tmp_path)
    rows = pd.read_csv(tmp_path / "results/tables/small/leaderboard.csv").sort_values("mae")
    assert rows["model"].tolist() == [f"external ({model['name']})", "dummy (median)"]
