"""The table and figure of what a cut-off of attention changes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from sitenet.config.grid import expand_grid
from tests.unit import benchmark_runs
from tests.unit.benchmark_runs import write_run
from tools.cutoff import effects, write

CONFIG = Path(__file__).parents[2] / "configs/cutoff.yaml"
FEW = {(100, None): 0.6, (100, 5.0): 0.7, (50, None): 0.8, (50, 5.0): 0.5}  # errors by sites and cut-off


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three seeds of the trials with 1,000 crystals; a seed adds 0.1, to a cut-off's error 0.01 more."""
    trials = {id_: trial.settings for id_, trial in expand_grid(yaml.safe_load(CONFIG.read_text())["grid"]).items()}
    for trial, settings in trials.items():
        monkeypatch.setitem(benchmark_runs.ALL_TRIALS, trial, settings)
        sites, cutoff = settings["features"]["max_sites"], settings["model"]["cutoff"]
        for seed in (0, 1, 2) if settings["training"]["max_crystals"] == 1000 else ():
            step = 0.1 if cutoff is None else 0.11
            write_run(tmp_path / "runs/cutoff", trial, 1, np.full(4, FEW[sites, cutoff] + step * seed), seed)
    (tmp_path / "data/cutoff").mkdir(parents=True)
    ids = [f"mp-1-{i}" for i in range(4)]
    pd.DataFrame({"id": ids, "group": ids}).to_parquet(tmp_path / "data/cutoff/targets.parquet")
    return tmp_path


def test_a_cutoff_is_compared_with_the_network_that_differs_in_nothing_else(results: Path) -> None:
    rows = {row["sites"]: row for row in effects(results)}
    assert rows.keys() == {100, 50}
    assert rows[100]["all_pairs_mae"] == pytest.approx(0.7)
    assert rows[100]["cutoff_mae"] == pytest.approx(0.81)
    assert rows[100]["all_pairs_mae_std"] == pytest.approx(0.1)
    assert rows[100]["difference"] == pytest.approx(0.11)
    assert rows[100]["seed_differences"] == "0.1000 0.1100 0.1200"
    assert rows[50]["difference"] == pytest.approx(-0.29)
    assert rows[50]["seeds"] == 3


def test_both_files_are_written(results: Path, tmp_path: Path) -> None:
    write([results], tmp_path)
    assert pd.read_csv(tmp_path / "effect.csv")["sites"].tolist() == [100, 50]
    assert (tmp_path / "effect.png").stat().st_size > 10_000
