"""Targets learnt beside another one, from the user's table with its gaps to the comparison of trials."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from sitenet.data.table import bundled_path
from tests.workflow.running import snakemake

pytestmark = pytest.mark.slow

NAME = "gaps"
TABLES, DATA = f"results/tables/{NAME}", f"results/data/{NAME}"
CONFIG = {
    "dataset": {
        "source": "files",
        "name": NAME,
        "path": "own.parquet",
        "target": "gap",
        "unit": "eV",
        "other_targets": {"index": "", "ewald": "eV/site"},
    },
    "splits": {"kind": "kfold", "n_folds": 2},
    "folds": [0],
    "shards": 1,
    "resamples": 200,
    "grid": [
        {
            "model": {"kind": "sitenet_radial", "cutoff": 4.0, "blocks": 1, "width": 16},
            "features": {"radius": 4.0},
            "training": {"learning_rate": 5e-3, "max_epochs": 3, "batch_pairs": 500, "other_targets": [[], "all"]},
        },
        {"model": {"kind": "random_forest", "n_trees": 10}},
    ],
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished benchmark of 60 crystals: every third lacks the gap, and some the other targets."""
    folder = tmp_path_factory.mktemp("several")
    crystals = pd.read_parquet(bundled_path("mp_dielectric_gap")).head(60)
    index, ewald = (pd.read_parquet(bundled_path(f"mp_dielectric_{name}")) for name in ("index", "electrostatics"))
    crystals = crystals.merge(index, on="id").merge(ewald.drop(columns="screened_energy"), on="id", how="left")
    crystals = crystals.rename(columns={"band_gap": "target", "refractive_index": "index", "ewald_energy": "ewald"})
    crystals.loc[::3, "target"] = None
    crystals.to_parquet(folder / "own.parquet")
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    snakemake("--configfile", folder / "config.yaml", directory=folder)
    return folder


def test_alone_and_together_are_two_trials_that_are_compared(finished: Path) -> None:
    trials = pd.read_csv(finished / TABLES / "trials.csv")
    networks = trials[trials["kind"] == "sitenet_radial"]
    assert set(networks["training.other_targets"]) == {"[]", '["all"]'}
    assert networks["parameters"].nunique() == 1
    assert networks["test_mae"].nunique() == 2
    changed = pd.read_csv(finished / TABLES / "ablation.csv").iloc[1]
    assert changed["changes"] == 'other_targets: [] -> ["all"]'
    assert changed["difference_low"] < changed["difference"] < changed["difference_high"]


def test_every_model_is_judged_by_the_same_crystals_with_the_target(finished: Path) -> None:
    table = pd.read_parquet(finished / DATA / "targets.parquet").set_index("id")
    predictions = pd.read_csv(finished / TABLES / "predictions.csv.gz")
    assert table.loc[predictions["id"], "target"].notna().all()
    assert predictions.groupby("model")["id"].nunique().nunique() == 1
    runs = [json.loads(path.read_text()) for path in finished.glob(f"results/runs/{NAME}/*/fold0/seed0/run.json")]
    counts = {(run["kind"], run["n_train"], run["n_validation"]) for run in runs}
    n_train, n_validation = next((n, v) for kind, n, v in counts if kind == "sitenet_radial")
    assert counts == {
        ("sitenet_radial", n_train, n_validation),
        ("random_forest", n_train + n_validation, n_validation),
    }
    known = {
        other["name"]: other["known"]
        for other in json.loads((finished / DATA / "manifest.json").read_text())["other_targets"]
    }
    assert known == {"index": 60, "ewald": int(table["ewald"].notna().sum())}


def test_a_second_call_has_nothing_to_do(finished: Path) -> None:
    again = snakemake("--configfile", finished / "config.yaml", "-n", directory=finished)
    assert "Nothing to be done" in again.stdout + again.stderr
