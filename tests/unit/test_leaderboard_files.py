"""What the files beside the leaderboard say, and how they are written."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Composition, Element

from sitenet.data.table import write_crystals
from sitenet.errors import UserError
from sitenet.evaluation.results import read_results
from sitenet.evaluation.tables.markdown import trials_markdown
from sitenet.evaluation.tables.predictions import write_predictions
from sitenet.evaluation.tables.trials import trials_table
from sitenet.evaluation.tables.write import write_tables
from sitenet.failures import Failure, read_failures, write_failures
from sitenet.features.shard import FeatureManifest
from tests.real_crystals import crystals
from tests.unit.benchmark_runs import (
    DUMMY_MEDIAN,
    FOREST,
    MANIFEST,
    SITENET,
    SPLITS,
    TRIALS,
    results,
    write_benchmark,
    write_run,
)
from tools.table_columns import PAGE, page


def test_tables_for_people_fit_a_page(tmp_path: Path) -> None:
    runs = write_benchmark(tmp_path)
    write_tables(results(runs), tmp_path, ablation=False)
    lines = (tmp_path / "leaderboard.md").read_text().splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert [cell.strip() for cell in table[0].split("|")[1:-1]] == [
        "rank",
        "model",
        "MAE (eV), 95 % interval",
        "verdict",
        "training time",
    ]
    assert max(map(len, table)) <= 100
    write_tables(results(runs[:-1]), tmp_path, ablation=False)
    lines = (tmp_path / "leaderboard.md").read_text().splitlines()
    (row,) = (line for line in lines if "random_forest" in line)
    assert [cell.strip() for cell in row.split("|")[-3:-1]] == ["1 of 2", "1 of 2"]  # folds and runs


def test_latex_has_one_row_a_model_and_escapes_what_latex_reads(tmp_path: Path) -> None:
    runs = write_benchmark(tmp_path)
    write_tables(results(runs), tmp_path, ablation=False)
    lines = (tmp_path / "leaderboard.tex").read_text().splitlines()
    assert lines[:2] == [r"\begin{tabular}{rlllr}", r"\toprule"]
    assert lines[-2:] == [r"\bottomrule", r"\end{tabular}"]
    rows = [line for line in lines if line.endswith(r"\\")]
    assert len(rows) == 5
    assert all(len(re.findall(r"(?<!\\)&", row)) == 4 for row in rows)
    text = "\n".join(rows)
    assert r"random\_forest" in text
    assert r"95 \% interval" in text
    assert not re.search(r"(?<!\\)[_%#$]", text)


def test_comparisons_have_a_page_with_corrected_p_values(tmp_path: Path) -> None:
    runs = write_benchmark(tmp_path)
    write_tables(results(runs), tmp_path, ablation=False)
    text, table = (tmp_path / "comparisons.md").read_text(), pd.read_csv(tmp_path / "comparisons.csv")
    assert text.startswith("# Paired comparisons")
    assert text.count("\n| ") == 6 + 1
    assert (table["p_value"] < 0.05).all()
    assert "corrected for all pairs of ranked models" in " ".join(text.split())


def test_every_prediction_is_in_one_file(tmp_path: Path) -> None:
    """Streamed run by run, with formulas in the usual order of elements; an ensemble has no rows."""
    known = list(crystals().values())[:3]
    renamed = [replace(crystal, id=f"mp-0-{i}") for i, crystal in enumerate(known)]
    write_crystals(tmp_path / "structures.parquet", renamed)
    runs = [write_run(tmp_path, SITENET[0], 0, [1.0, -0.5, 0.0], seed, targets=[1, 2, np.nan]) for seed in (0, 1)]
    found = results(runs, folds=(0,), seeds=(0, 1)).standings
    write_predictions(found, tmp_path / "structures.parquet", tmp_path / "predictions.csv.gz")
    frame = pd.read_csv(tmp_path / "predictions.csv.gz")
    assert list(frame) == ["id", "formula", "fold", "seed", "model", "target", "prediction", "error", "uncertainty"]
    assert frame["seed"].tolist() == [0, 0, 0, 1, 1, 1]
    assert set(frame["model"]) == {"sitenet"}
    assert frame["error"].tolist()[:2] == [1.0, -0.5]
    assert frame["target"].isna().tolist() == frame["error"].isna().tolist() == [False, False, True] * 2
    compositions = [Composition(Counter(Element.from_Z(int(z)) for z in c.atomic_numbers)) for c in known]
    assert frame["formula"].tolist() == [c.reduced_formula for c in compositions] * 2
    first = (tmp_path / "predictions.csv.gz").read_bytes()
    write_predictions(found, tmp_path / "structures.parquet", tmp_path / "predictions.csv.gz")
    assert (tmp_path / "predictions.csv.gz").read_bytes() == first


def test_no_run_has_no_prediction(tmp_path: Path) -> None:
    write_predictions(results([]).standings, tmp_path / "none.parquet", tmp_path / "predictions.csv.gz")
    assert len(pd.read_csv(tmp_path / "predictions.csv.gz")) == 0


def test_no_run_at_all_still_makes_a_table(tmp_path: Path) -> None:
    write_tables(results([]), tmp_path, ablation=True)
    assert "0 of 2" in (tmp_path / "leaderboard.md").read_text()


def test_a_spreadsheet_runs_no_id_of_a_failed_crystal(tmp_path: Path) -> None:
    ids = ['=HYPERLINK("x")', "+1", "-1", "@x", "mp-1", "a=b"]
    write_failures(tmp_path / "stage.csv", [Failure(id_, "data", "empty: x") for id_ in ids])
    failures = read_failures(tmp_path / "stage.csv")
    assert [failure.id for failure in failures] == ids
    write_tables(results([], failures=failures), tmp_path, ablation=False)
    shown = [failure.id for failure in read_failures(tmp_path / "failures.csv")]
    assert shown == [f"'{id_}" for id_ in ids[:4]] + ids[4:]


def test_markdown_has_units_footer_and_rounded_numbers(tmp_path: Path) -> None:
    runs = write_benchmark(tmp_path)
    failures = [Failure(id_, "data", f"disordered structure: {what}") for id_, what in (("a", "Fe0.5"), ("b", "Ni0.5"))]
    changed = {"sites100-44136fa3": 10, "sphere6-00000000": 0}
    write_tables(
        results(runs, failures=failures, changed=changed),
        tmp_path,
        ablation=False,
    )
    text = (tmp_path / "leaderboard.md").read_text()
    for expected in (
        "changed by more than 0.02 angstrom in the search for primitive cells: 10 in sites100-44136fa3.",
        "MAE (eV)",
        "Fold 1: 90 of 100 training crystals (10 of them for validation)",
        "Failed crystals: 2 of 1,056 (2 disordered structure)",
        "24 of 1,056 crystals are used (max_crystals = 24)",
        "p = 0.05, corrected for all pairs",
        "CC BY 4.0",
        "Someone (2020)",
        "200 bootstrap resamples of formulas",
        "lowest validation MAE",
        "processor: abacus; cores: 2. Work on pairs in training: gcc 12.2.0 avx512f.",
    ):
        assert expected in text
    assert "nan" not in text.lower()
    best = pd.read_csv(tmp_path / "leaderboard.csv").iloc[0]
    assert f"| {best['mae']:.3f} [{best['mae_low']:.3f}, {best['mae_high']:.3f}] " in text


def test_trials_show_what_varies_and_every_score(tmp_path: Path) -> None:
    runs = write_benchmark(tmp_path)
    table = trials_table(results(runs))
    header = trials_markdown(table, "eV").splitlines()[0]
    assert set(re.findall(r"(?:model|training|features)\.\w+", header)) == {
        "model.blocks",
        "training.learning_rate",
        "model.statistic",
    }
    rows: dict[str, dict[Any, Any]] = {row["trial"]: row for row in table.to_dict("records")}
    assert len(rows) == 7
    assert rows[SITENET[0]]["training.loss"] == "l1"
    assert pd.isna(rows[FOREST]["training.loss"])
    assert [rows[trial]["model.blocks"] for trial in SITENET] == [1, 1, 2, 2]
    assert [rows[trial]["folds_selected"] for trial in SITENET] == [0, 2, 0, 0]
    assert pd.isna(rows[DUMMY_MEDIAN]["folds_selected"])
    assert rows[SITENET[2]]["validation_mae_fold1"] == pytest.approx(0.6)
    scores = [run.test.mae for run in runs if run.result.key.trial == SITENET[2]]
    assert [rows[SITENET[2]][f"test_mae_fold{k}"] for k in (0, 1)] == pytest.approx(scores)
    assert table.loc[table["kind"] == "sitenet", "validation_mae"].is_monotonic_increasing


def test_failures_of_two_feature_sets_count_once(tmp_path: Path) -> None:
    """Rows of a repeated id each count; a crystal that two feature sets refuse counts once."""
    header, twice = "id,stage,reason\n", "mp-2,data,duplicate id: 2 rows have it\n" * 2
    first, second = (f"mp-1,features,overlapping atoms: {distance}\n" for distance in (0.1, 0.2))
    for folder, text in (("data", header + twice), ("a", header + first), ("b", header + second)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "failures.csv").write_text(text)
    data, features = tmp_path / "data" / "manifest.json", [tmp_path / name / "manifest.json" for name in "ab"]
    pd.DataFrame({"id": [], "target": [], "group": []}).to_parquet(data.with_name("targets.parquet"), index=False)
    MANIFEST.write(data, files=["failures.csv", "targets.parquet"])
    for path in features:
        FeatureManifest(crystals=9, failures={}, changed=0, pairs=0, bytes=0, sha256={}).write(
            path, files=["failures.csv"]
        )
    SPLITS.write(tmp_path / "splits.json")
    config = {"name": "gaps", "trials": TRIALS, "folds": [0, 1], "seeds": [0], "resamples": 100}
    failures = read_results(config, [], data, tmp_path / "splits.json", features).failures
    assert [failure.id for failure in failures] == ["mp-2", "mp-2", "mp-1"]
    runs = write_benchmark(tmp_path)
    for failed, counted, noted in ((failures, 3, True), (failures[:2], 2, False)):
        write_tables(results(runs, failures=failed), tmp_path, ablation=False)
        text = (tmp_path / "leaderboard.md").read_text()
        assert f"Failed crystals: {counted} of 1,056" in text
        assert ("for crystals without features" in text) == noted
    (tmp_path / "b" / "failures.csv").write_text(header)
    with pytest.raises(UserError, match=r"b/failures.csv is damaged or was changed since manifest.json was written"):
        read_results(config, [], data, tmp_path / "splits.json", features)


def test_the_page_of_columns_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(), "run `python -m tools.table_columns`"
