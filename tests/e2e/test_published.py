"""Published predictions and an ensemble of seeds on an official fold, through the whole workflow."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from ase.io import read
from monty.serialization import loadfn
from pymatgen.core import Structure

from sitenet.data.matbench_task import official_folds, official_task
from sitenet.data.table import CrystalTable, bundled_path
from tests.workflow.running import ROOT, job_counts, snakemake

TASK, SUBMISSION, FOLD, N = "matbench_jdft2d", "matbench_v0.1_alignn", 1, 60
TARGETS = {official_task(TASK).id(n): 10.0 * (n % 7) for n in range(N)}
PREDICTIONS = {id_: TARGETS.get(id_, 0) + (-1) ** i * (i % 5) for i, id_ in enumerate(official_folds(TASK)[FOLD][1])}


def write_inputs(folder: Path) -> Path:
    """The first rows of a task in the official format (with bundled crystals), a submission, and a configuration."""
    crystals = CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals(0, N)
    structures = [Structure(c.lattice, c.atomic_numbers.tolist(), c.frac_coords).as_dict() for c in crystals]
    data = [[structure, target] for structure, target in zip(structures, TARGETS.values(), strict=True)]
    content = {"index": list(range(N)), "columns": ["structure", official_task(TASK).column], "data": data}
    mirror = folder / "mirror"
    (mirror / SUBMISSION).mkdir(parents=True)
    (mirror / f"{TASK}.json.gz").write_bytes(packed := gzip.compress(json.dumps(content).encode(), mtime=0))
    results = {"tasks": {TASK: {"results": {f"fold_{FOLD}": {"data": PREDICTIONS}}}}}
    (mirror / SUBMISSION / "results.json.gz").write_bytes(gzip.compress(json.dumps(results).encode(), mtime=0))
    sha256 = hashlib.sha256(packed).hexdigest()
    write_mine(folder, dict.fromkeys(TARGETS, 1.0))
    network = {"kind": "sitenet_radial", "blocks": 1, "width": 16, "hidden_width": 8, "heads": 2}
    training = {"max_epochs": 2, "learning_rate": 0.01}
    described = {"model": network | {"descriptor": "chgnet"}, "features": {"radius": 4.0, "descriptor": "chgnet"}}
    config: dict[str, Any] = {
        "name": "small",
        "dataset": {"source": "matbench", "name": TASK, "mirror": str(mirror), "expected_sha256": sha256},
        "splits": {"kind": "official", "validation_share": 0.2},
        "folds": [FOLD],
        "seeds": [0, 1],
        "shards": 1,
        "resamples": 200,
        "grid": [
            {"model": network, "features": {"radius": 4.0}, "training": training},
            {"model": {"kind": "published", "submission": SUBMISSION}},
            {"model": {"kind": "sklearn", "parameters": {"max_iter": 20}, "features": "both"}},
            {"model": {"kind": "predictions", "path": str(mirror / SUBMISSION / "results.json.gz")}},
            {"model": {"kind": "predictions", "path": str(folder / "mine.csv"), "name": "MODNet 0.4"}},
            described | {"training": training},
            {"model": {"kind": "sklearn", "parameters": {"max_iter": 20}, "features": "chgnet"}},
        ],
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def write_mine(folder: Path, predictions: dict[str, float]) -> None:
    """Predictions of all crystals, with an uncertainty, in another order than the data set's."""
    rows = [f"{id_},{value},0.25\n" for id_, value in reversed(predictions.items())]
    (folder / "mine.csv").write_text("id,prediction,uncertainty\n" + "".join(rows))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("official")
    snakemake("all", "export", "--configfile", write_inputs(folder), directory=folder)
    return folder


def predictions_of(finished: Path, kind: str) -> list[pd.DataFrame]:
    """Of the runs of a model kind, from scratch."""

    def of(run: dict) -> bool:
        return run["kind"] == kind and not run["settings"]["model"].get("descriptor")

    records = sorted(finished.glob(f"results/runs/small/*/fold{FOLD}/seed*/result.json"))
    own = [path for path in records if of(json.loads(path.read_text()))]
    return [pd.read_parquet(path.parent / "test_predictions.parquet").set_index("id") for path in own]


def test_published_predictions_and_ensembles_are_rows_of_the_leaderboard(finished: Path) -> None:
    rows = pd.read_csv(finished / "results/tables/small/leaderboard.csv").set_index("model")
    single, ensemble, published = (
        "sitenet_radial",
        "sitenet_radial, ensemble of 2 seeds",
        f"published ({SUBMISSION})",
    )
    boosting = "sklearn (HistGradientBoostingRegressor, both)"
    on_descriptors = "sklearn (HistGradientBoostingRegressor, chgnet)"
    pretrained = {"sitenet_radial with chgnet", "sitenet_radial with chgnet, ensemble of 2 seeds", on_descriptors}
    others = {single, ensemble, published, boosting, "predictions (MODNet 0.4)", file_of(finished)}
    assert set(rows.index) == pretrained | others
    assert set(rows.index[rows["pretrained"] == "CHGNet 0.3.0"]) == pretrained
    assert rows[["rank", "rank_alike"]].isna().all(axis=None)  # of fewer than 50 formulas
    table = (finished / "results/tables/small/leaderboard.md").read_text()
    assert "read features of sites by CHGNet 0.3.0, which saw energies, forces" in table
    training = pd.read_parquet(finished / f"results/data/small/folds/fold{FOLD}/train.parquet")
    assert rows.loc[boosting, "n_train"] == len(training)  # fitted again with the validation crystals
    tested = [id_ for id_ in official_folds(TASK)[FOLD][1] if id_ in TARGETS]
    errors = [abs(PREDICTIONS[id_] - TARGETS[id_]) for id_ in tested]
    assert rows.loc[published, "mae"] == pytest.approx(np.mean(errors))
    assert (rows["n_test"] == len(tested)).all()
    one, other = predictions_of(finished, "sitenet_radial")
    mean = (one["prediction"] + other["prediction"]) / 2
    assert rows.loc[ensemble, "mae"] == pytest.approx((mean - one["target"]).abs().mean())
    assert rows.loc[single, "mae"] == pytest.approx(
        np.mean([(frame["prediction"] - frame["target"]).abs().mean() for frame in (one, other)])
    )
    seconds = rows["training_seconds"].astype(float)
    assert pd.isna(seconds[published])
    assert seconds[ensemble] == seconds[single] > 0


def file_of(finished: Path) -> str:
    return f"predictions ({SUBMISSION}/results.json.gz)"


def test_predictions_of_a_file_are_rows_like_others(finished: Path) -> None:
    rows = pd.read_csv(finished / "results/tables/small/leaderboard.csv").set_index("model")
    tested = [id_ for id_ in official_folds(TASK)[FOLD][1] if id_ in TARGETS]
    mine = rows.loc["predictions (MODNet 0.4)"]
    assert mine["mae"] == pytest.approx(np.mean([abs(1.0 - TARGETS[id_]) for id_ in tested]))
    assert mine["n_test"] == len(tested)
    assert rows["trained_here"].tolist() == [model.startswith("s") for model in rows.index]
    pairs = pd.read_csv(finished / "results/tables/small/comparisons.csv").set_index(["model", "other"])
    both = [pair for pair in pairs.index if set(pair) == {f"published ({SUBMISSION})", file_of(finished)}]
    assert pairs.loc[both, "difference"].tolist() == [0.0]  # a submission is the same from a file and by its name
    predictions = pd.read_csv(finished / "results/tables/small/predictions.csv.gz")
    assert (predictions.loc[predictions["model"] == mine.name, "uncertainty"] == 0.25).all()
    assert predictions.loc[predictions["model"] != mine.name, "uncertainty"].isna().all()
    page = (finished / "results/tables/small/index.html").read_text()
    assert page.count('<span class="tag elsewhere">not trained here</span>') == 4  # three rows and the explanation
    notes = (finished / "results/tables/small/leaderboard.md").read_text()
    assert "- Not trained here: " in notes


def test_a_changed_file_of_predictions_is_scored_again_and_refused_when_it_lacks_a_crystal(finished: Path) -> None:
    tables, tested = finished / "results/tables/small", [i for i in official_folds(TASK)[FOLD][1] if i in TARGETS]
    before = (tables / "leaderboard.csv").read_bytes()
    write_mine(finished, {id_: 1.0 for id_ in TARGETS if id_ not in tested[:2]})
    run = snakemake("--configfile", finished / "config.yaml", directory=finished, check=False)
    assert run.returncode != 0
    assert f"mine.csv lacks predictions for 2 of the {len(tested)} test crystals of fold 1, seed 0" in run.stderr
    assert (tables / "leaderboard.csv").read_bytes() == before
    write_mine(finished, dict.fromkeys(TARGETS, 1.0))
    counts = job_counts(snakemake("-n", "--configfile", finished / "config.yaml", directory=finished))
    assert (counts["predictions"], "train" in counts) == (2, False)


def test_exported_folds_have_the_targets_of_the_training_part_alone(finished: Path) -> None:
    folder = finished / "results/data/small/export"
    parts = {name: pd.read_csv(folder / f"fold{FOLD}/{name}.csv") for name in ("train", "validation", "test")}
    assert {name: list(part) for name, part in parts.items()} == {
        "train": ["id", "target"],
        "validation": ["id", "target"],
        "test": ["id"],
    }
    fold = finished / f"results/data/small/folds/fold{FOLD}"
    assert parts["test"]["id"].tolist() == pd.read_parquet(fold / "test_inputs.parquet")["id"].tolist()
    labelled = pd.concat([parts["train"], parts["validation"]], ignore_index=True)
    pd.testing.assert_frame_equal(labelled, pd.read_parquet(fold / "train.parquet")[["id", "target"]])
    frames = read(folder / "structures.extxyz", index=":")
    structures = loadfn(folder / "structures.json.gz")
    crystals = list(CrystalTable.open(finished / "results/data/small/structures.parquet").crystals())
    assert [frame.info["id"] for frame in frames] == list(structures) == [crystal.id for crystal in crystals]
    for frame, structure, crystal in zip(frames, structures.values(), crystals, strict=True):
        assert (frame.numbers == crystal.atomic_numbers).all()
        assert list(structure.atomic_numbers) == crystal.atomic_numbers.tolist()
        assert frame.cell.array == pytest.approx(crystal.lattice, abs=1e-6)
        assert structure.frac_coords == pytest.approx(crystal.frac_coords)
        assert frame.positions == pytest.approx(structure.cart_coords, abs=1e-6)
        assert set(frame.info) == {"id"}


def test_a_missing_file_of_predictions_is_one_line(finished: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((finished / "config.yaml").read_text())
    config["grid"][4]["model"]["path"] = "no/mine.csv"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    run = snakemake("-n", "--configfile", tmp_path / "config.yaml", directory=finished, check=False)
    assert run.returncode != 0
    assert "'model.path' of the kind predictions has the value 'no/mine.csv': there is no such file in" in run.stderr
    assert "Traceback" not in run.stderr


def test_tables_say_that_published_models_were_not_trained_here(finished: Path) -> None:
    text = (finished / "results/tables/small/leaderboard.md").read_text()
    assert "nan" not in text.lower()
    (row,) = (line for line in text.splitlines() if f"| published ({SUBMISSION})" in line)
    assert row.split("|")[5].strip() == "not trained here"  # in place of a training time
    results = [json.loads(path.read_text()) for path in finished.glob("results/runs/small/*/fold1/seed0/result.json")]
    (published,) = (result for result in results if result["kind"] == "published")
    assert len(published["versions"]["predictions_sha256"]) == 64


def test_a_submission_that_changed_since_it_was_fetched_is_refused(finished: Path) -> None:
    path = finished / f"downloads/{SUBMISSION}.json.gz"
    content = path.read_bytes()
    try:
        path.write_bytes(content + b"0")
        run = snakemake(
            "--configfile", finished / "config.yaml", "--forcerun", "predictions", directory=finished, check=False
        )
    finally:
        path.write_bytes(content)
    assert run.returncode != 0
    assert f"downloads/{SUBMISSION}.json.gz is missing or has changed since it was downloaded" in run.stderr


def test_a_submission_that_cannot_be_had_is_one_line(finished: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((finished / "config.yaml").read_text())
    config["grid"][1]["model"]["submission"] = [SUBMISSION, "matbench_v0.1_none"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    before = (finished / "results/tables/small/leaderboard.csv").read_bytes()
    run = snakemake("--configfile", tmp_path / "config.yaml", directory=finished, check=False)
    assert run.returncode != 0
    assert "matbench_v0.1_none/results.json.gz (dataset.mirror): No such file or directory" in run.stderr
    assert (finished / "results/tables/small/leaderboard.csv").read_bytes() == before


def test_published_models_need_official_folds(tmp_path: Path) -> None:
    grid = '[{"model": {"kind": "published"}}]'
    run = snakemake("-n", "--config", f"grid={grid}", directory=tmp_path, check=False)
    assert run.returncode != 0
    assert "'splits.kind' has the value 'kfold', but the grid has predictions of a Matbench submission" in run.stderr


@pytest.mark.parametrize(("name", "seeds"), [("matbench_mp_gap_cpu", 2), ("matbench_mp_gap_cpu_four", 4)])
def test_published_models_are_planned_beside_the_others(tmp_path: Path, name: str, seeds: int) -> None:
    config = ROOT / "configs" / f"{name}.yaml"
    counts = job_counts(snakemake("-n", "--configfile", config, directory=tmp_path))
    assert (counts["fetch_submission"], counts["predictions"], counts["train"]) == (5, 5 * 2 * seeds, 2 * seeds)
    assert "baseline" not in counts


def test_a_submission_of_one_fold_is_refused_in_one_line(finished: Path) -> None:
    arguments = ("matbench_submission", "--configfile", finished / "config.yaml")
    run = snakemake(*arguments, directory=finished, check=False)
    assert run.returncode != 0
    assert "a Matbench submission needs all official folds; missing: 0, 2, 3, 4" in run.stderr
    assert "Traceback" not in run.stderr
    assert not (finished / "results" / "submissions" / "small").exists()
