"""The files in docs/results are read by today's code and belong to today's configurations."""

import json
from pathlib import Path

import pandas as pd
import pytest

from sitenet.evaluation.runs import Run
from sitenet.history import HistoryRow
from sitenet.training.checkpoint import load_best
from tests.golden.published import CHECKPOINTS, RESULTS, benchmarks

RECORDS = sorted([*RESULTS.glob("**/result.json"), *RESULTS.glob("**/run.json")])
TABLES = {
    "training_size/trials.csv": 9,
    "training_size/training_size.csv": 9,
    "ablation/ablation.csv": 11,
    "ablation/regularisation.csv": 8,
    "ablation/moments.csv": 10,
    "cutoff/cutoff.csv": 8,
    "cutoff/trials.csv": 8,
    "cutoff/cutoff_gpu.csv": 4,
    "long_range/long_range.csv": 17,
    "fine_tuning/fine_tuning.csv": 8,
    "input_scaling/input_scaling.csv": 4,
    "input_scaling/recipe.csv": 4,
}


def test_every_run_is_published_whole() -> None:
    assert len(CHECKPOINTS) == len(RECORDS) >= 8
    for record in RECORDS:
        assert {"best.pt", "history.jsonl"} < {path.name for path in record.parent.iterdir()}


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: str(path.relative_to(RESULTS).parent))
def test_records_checkpoints_and_histories_are_read_and_agree(record: Path) -> None:
    run = Run.read(record)
    description, best, weights = load_best(record.with_name("best.pt"))
    assert description.key == run.result.key
    assert description.trial.kind == run.result.kind
    assert best is not None
    assert best.validation_error == run.result.validation_error
    assert run.test.n_scored + run.test.n_unlabelled > 0
    assert sum(tensor.numel() for tensor in weights.values()) >= (run.result.n_parameters or 0) > 0
    rows = [HistoryRow.from_dict(json.loads(line)) for line in (run.folder / "history.jsonl").read_text().splitlines()]
    assert [row.epoch for row in rows] == run.history()["epoch"].tolist() == list(range(1, len(rows) + 1))
    assert len(rows) == run.result.epochs
    row = rows[best.epoch - 1]
    assert (row.validation_error_ema if best.averaged else row.validation_error) == best.validation_error


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: str(path.relative_to(RESULTS).parent))
def test_a_published_run_is_one_that_its_configuration_plans(record: Path) -> None:
    """With the settings in the file, its id is the one in the file, and the workflow would find the run by it."""
    description = load_best(record.with_name("best.pt"))[0]
    folder = record.relative_to(RESULTS).parts[0]
    planned = benchmarks()[f"{folder}.yaml"]
    assert description.trial.id == description.key.trial
    assert description.trial.feature_id == planned.networks[description.key.trial].feature_id
    assert description.key.fold in planned.folds
    assert description.key.seed in planned.settings.seeds


@pytest.mark.parametrize(("name", "count"), TABLES.items())
def test_trials_of_published_tables_are_planned(name: str, count: int) -> None:
    folder, file = Path(name).parts
    configuration = folder if file == "trials.csv" else file.removesuffix(".csv")
    trials = pd.read_csv(RESULTS / name, dtype=str)["trial"].dropna().tolist()
    assert len(trials) == count
    assert set(trials) <= set(benchmarks()[f"{configuration}.yaml"].trials)  # which may plan more by now


def test_all_published_tables_are_known() -> None:
    found = {str(path.relative_to(RESULTS)) for path in RESULTS.glob("**/*.csv")}
    assert found == {*TABLES, "cutoff/effect.csv"}


def test_what_a_cutoff_changes_is_in_both_tables() -> None:
    """The comparison with all pairs of 100 sites, by the workflow and over all sizes."""
    effect = pd.read_csv(RESULTS / "cutoff/effect.csv").query("sites == 100")["difference"]
    tables = pd.concat([pd.read_csv(RESULTS / f"cutoff/{name}.csv") for name in ("cutoff", "cutoff_gpu")])
    assert sorted(effect) == pytest.approx(
        sorted(tables.query("changes == 'cutoff: null -> 5.0'")["difference"]), abs=1e-6
    )
