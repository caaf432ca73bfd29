"""The comparison with another benchmark: same crystals, paired, and only models that both have."""

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from sitenet.data.crystal import Crystal
from sitenet.data.manifest import Splits
from sitenet.data.table import write_crystals
from sitenet.errors import UserError
from sitenet.evaluation.other import OtherBenchmark, check_other
from sitenet.evaluation.results import Results
from sitenet.evaluation.shift import COLUMNS, shift_table, shifts, sides
from sitenet.evaluation.tables.markdown import shift_markdown
from sitenet.evaluation.tables.predictions import write_predictions
from sitenet.evaluation.tables.write import write_tables
from tests.unit.benchmark_runs import DUMMY_MEAN, FOREST, SITENET, SPLITS, TRIALS, planned, results_of, write_run

DATASET = {"source": "bundled", "name": "gaps", "max_crystals": None, "mirror": None}
N = 120


def write_other(folder: Path, results: Results, trials: list[str]) -> OtherBenchmark:
    """The tables of a finished benchmark, written as the workflow does, and read again."""
    folder.mkdir()
    ids = [f"mp-{fold}-{i}" for fold in (0, 1) for i in range(N)]
    write_crystals(
        folder / "structures.parquet",
        [Crystal(id_, np.eye(3), np.array([11], np.uint8), np.zeros((1, 3))) for id_ in ids],
    )
    write_predictions(results.standings, folder / "structures.parquet", folder / "predictions.csv.gz")
    config = {"name": "random", "dataset": DATASET, "splits": {"kind": "kfold"}, "trials": {id_: {} for id_ in trials}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return OtherBenchmark.read(folder)


@pytest.fixture
def errors() -> dict[str, np.ndarray]:
    """Signed errors of the crystals in the other benchmark, which is better by 0.2 to 0.4 for the forest."""
    rng = np.random.default_rng(0)
    return {"random": rng.uniform(0.5, 1.5, N), "loss": rng.uniform(0.2, 0.4, N), "sign": rng.choice([-1, 1], N)}


@pytest.fixture
def own(tmp_path: Path, errors: dict[str, np.ndarray]) -> Results:
    root = tmp_path / "own"
    forest = (errors["random"] + errors["loss"]) * errors["sign"]
    runs = [write_run(root, FOREST, fold, forest) for fold in (0, 1)]
    runs += [write_run(root, DUMMY_MEAN, fold, 2 * errors["random"]) for fold in (0, 1)]
    return results_of([*runs, write_run(root, SITENET[0], 0, errors["random"])])


@pytest.fixture
def other(tmp_path: Path, errors: dict[str, np.ndarray]) -> OtherBenchmark:
    """The forest with two seeds, whose errors have the mean `random`; the dummy on half of the crystals of fold 1."""
    root = tmp_path / "other"
    runs = [
        write_run(root, FOREST, fold, errors["random"] * factor, seed=seed)
        for fold in (0, 1)
        for seed, factor in ((0, 0.5), (1, -1.5))
    ]
    labelled = np.where(np.arange(N) < N // 2, 1.0, np.nan)
    runs.append(write_run(root, DUMMY_MEAN, 1, errors["random"], targets=labelled))
    results = results_of(runs[:4], planned(seeds=(0, 1)))
    dummy = results_of(runs[4:])
    first = write_other(tmp_path / "tables", results, list(TRIALS))
    second = write_other(tmp_path / "dummy_tables", dummy, list(TRIALS))
    return replace(first, errors={**first.errors, **second.errors})


def test_difference_is_of_the_same_crystals_averaged_over_seeds(
    own: Results, other: OtherBenchmark, errors: dict[str, np.ndarray]
) -> None:
    table = shift_table(replace(own, other=other)).set_index("model")
    forest = table.loc["random_forest"]
    assert forest["mae"] == pytest.approx((errors["random"] + errors["loss"]).mean())
    assert forest["other_mae"] == pytest.approx(errors["random"].mean())
    assert forest["difference"] == pytest.approx(errors["loss"].mean())
    assert (forest["folds"], forest["n_test"], forest["other"]) == (2, 2 * N, "random")


def test_only_crystals_that_both_have_tested_count(
    own: Results, other: OtherBenchmark, errors: dict[str, np.ndarray]
) -> None:
    dummy = shift_table(replace(own, other=other)).set_index("model").loc["dummy (mean)"]
    half = errors["random"][: N // 2]
    assert (dummy["mae"], dummy["other_mae"]) == pytest.approx((2 * half.mean(), half.mean()))
    assert (dummy["folds"], dummy["n_test"]) == (1, N // 2)


def test_the_interval_is_paired(own: Results, other: OtherBenchmark, errors: dict[str, np.ndarray]) -> None:
    """It is as wide as the loss varies, not as the errors do."""
    forest = shift_table(replace(own, other=other)).set_index("model").loc["random_forest"]
    half_width = (forest["difference_high"] - forest["difference_low"]) / 2
    assert half_width == pytest.approx(1.96 * errors["loss"].std() / np.sqrt(2 * N), rel=0.25)
    assert forest["difference_low"] < forest["difference"] < forest["difference_high"]


def test_a_fold_alone_has_its_own_crystals_and_interval(own: Results, other: OtherBenchmark) -> None:
    forest, dummy = shifts(replace(own, other=other))
    folds = forest.by_fold()
    assert {fold: dict(shift.n_test) for fold, shift in folds.items()} == {0: {0: N}, 1: {1: N}}
    assert np.mean([shift.difference.value for shift in folds.values()]) == pytest.approx(forest.difference.value)
    widths = [shift.difference.high - shift.difference.low for shift in (*folds.values(), forest)]
    assert min(widths[:2]) > 1.2 * widths[2]
    (alone,) = dummy.by_fold().values()
    assert alone.difference == dummy.difference


def test_benchmarks_are_called_by_what_differs(own: Results, other: OtherBenchmark) -> None:
    assert sides(replace(own, other=other)) == ("gaps", "random")
    element = Splits(**{**SPLITS.model_dump(), "kind": "element"})
    assert sides(replace(own, splits=element, other=other)) == ("elements held out", "random folds")


def test_a_model_that_only_one_benchmark_has_is_left_out(own: Results, other: OtherBenchmark) -> None:
    assert "sitenet" in [row.model for row in own.standings.rows if row.runs]
    assert shift_table(replace(own, other=other))["model"].tolist() == ["random_forest", "dummy (mean)"]
    changed = replace(other, trials=other.trials - {FOREST})  # of other settings
    assert shift_table(replace(own, other=changed))["model"].tolist() == ["dummy (mean)"]


def test_no_crystal_in_common_gives_an_empty_table(own: Results, other: OtherBenchmark, tmp_path: Path) -> None:
    elsewhere = {model: pd.Series([1.0], index=["mp-unknown"]) for model in other.errors}
    strange = replace(other, errors=elsewhere)
    assert shift_table(replace(own, other=strange)).empty
    write_tables(replace(own, other=strange), tmp_path, ablation=False)
    assert (tmp_path / "shift.md").read_text().startswith("# Difference to random")


def test_tables_say_which_splits_are_compared(own: Results, other: OtherBenchmark, tmp_path: Path) -> None:
    element = Splits(**{**SPLITS.model_dump(), "kind": "element"})
    results = replace(own, splits=element, other=other)
    write_tables(results, tmp_path, ablation=False)
    written = pd.read_csv(tmp_path / "shift.csv")
    assert written["benchmark"].unique().tolist() == ["gaps"]
    pd.testing.assert_frame_equal(written[list(COLUMNS)], shift_table(replace(own, other=other)))
    text = shift_markdown(shift_table(replace(own, other=other)), "eV", "element", other)
    assert text in (tmp_path / "shift.md").read_text()
    assert "MAE in random (eV)" in text
    assert "Splits: element here, kfold in random." in text


def test_without_another_benchmark_there_is_no_such_table(own: Results, tmp_path: Path) -> None:
    write_tables(own, tmp_path, ablation=False)
    assert not list(tmp_path.glob("shift*"))


def test_ids_are_text(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("{name: random, splits: {kind: kfold}, trials: {}}")
    rows = ["007,Na,0,0,m,1,2,1,", "withheld,Na,0,0,m,,2,,", "NA,Na,0,0,m,1,-1,-2,"]
    text = "\n".join(["id,formula,fold,seed,model,target,prediction,error,uncertainty", *rows, ""])
    (tmp_path / "predictions.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert OtherBenchmark.read(tmp_path).errors["m"].to_dict() == {"007": 1.0, "NA": 2.0}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"max_crystals": 60}, "which has another data set: dataset.max_crystals None in place of 60"),
        ({"name": "indices"}, "dataset.name gaps in place of indices"),
    ],
)
def test_another_data_set_is_refused(change: dict, expected: str, own: Results, tmp_path: Path) -> None:
    write_other(tmp_path / "tables", own, [])
    check_other("random", tmp_path / "tables", DATASET)
    with pytest.raises(UserError) as error:
        check_other("random", tmp_path / "tables", DATASET | change)
    assert expected in str(error.value)


def test_other_targets_of_the_same_crystals_are_refused(own: Results, tmp_path: Path) -> None:
    other = write_other(tmp_path / "tables", own, [])
    other.check_targets(other.targets)
    other.check_targets(other.targets[:3])
    with pytest.raises(
        UserError, match=r"'compare_to' has the value 'random', where mp-0-1 has the target 1, and here 2"
    ):
        other.check_targets(other.targets * 2)


def test_missing_and_damaged_tables_are_one_line(own: Results, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'compare_to' has the value 'random': there is no .*run that benchmark first"):
        check_other("random", tmp_path / "tables", DATASET)
    write_other(tmp_path / "tables", own, [])
    for text in ("[", "{}", "dataset: 3"):
        (tmp_path / "tables" / "config.yaml").write_text(text)
        with pytest.raises(UserError, match=r"config.yaml cannot be read; run that benchmark again"):
            check_other("random", tmp_path / "tables", DATASET)


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b", gzip.compress(b"id,model\na,m\n", mtime=0)])
def test_damaged_predictions_are_named_before_anything_runs(own: Results, tmp_path: Path, content: bytes) -> None:
    write_other(tmp_path / "random", own, list(TRIALS))
    check_other("random", tmp_path / "random", DATASET)
    path = tmp_path / "random/predictions.csv.gz"
    whole = path.read_bytes()
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"predictions\.csv\.gz cannot be read; run that benchmark again"):
        check_other("random", tmp_path / "random", DATASET)
    path.write_bytes(whole[:-20])
    with pytest.raises(UserError, match=r"predictions\.csv\.gz cannot be read .*; run the benchmark random again"):
        OtherBenchmark.read(tmp_path / "random")
