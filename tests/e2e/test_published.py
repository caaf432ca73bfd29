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
    network = {"kind": "sitenet_radial", "blocks": 1, "width": 16, "hidden_width": 8, "heads": 2}
    config: dict[str, Any] = {
        "name": "small",
        "dataset": {"source": "matbench", "name": TASK, "mirror": str(mirror), "expected_sha256": sha256},
        "splits": {"kind": "official", "validation_share": 0.2},
        "folds": [FOLD],
        "seeds": [0, 1],
        "shards": 1,
        "resamples": 200,
        "grid": [
            {"model": network, "features": {"radius": 4.0}, "training": {"max_epochs": 2, "learning_rate": 0.01}},
            {"model": {"kind": "published", "submission": SUBMISSION}},
        ],
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("official")
    snakemake("--configfile", write_inputs(folder), directory=folder)
    return folder


def predictions_of(finished: Path, kind: str) -> list[pd.DataFrame]:
    records = sorted(finished.glob(f"results/runs/small/*/fold{FOLD}/seed*/result.json"))
    own = [path for path in records if json.loads(path.read_text())["kind"] == kind]
    return [pd.read_parquet(path.parent / "test_predictions.parquet").set_index("id") for path in own]


def test_published_predictions_and_ensembles_are_rows_of_the_leaderboard(finished: Path) -> None:
    rows = pd.read_csv(finished / "results/tables/small/leaderboard.csv").set_index("model")
    single, ensemble, published = (
        "sitenet_radial",
        "sitenet_radial, ensemble of 2 seeds",
        f"published ({SUBMISSION})",
    )
    assert set(rows.index) == {single, ensemble, published}
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


def test_tables_show_what_is_not_known_of_published_models_as_a_dash(finished: Path) -> None:
    text = (finished / "results/tables/small/leaderboard.md").read_text()
    assert "nan" not in text.lower()
    (row,) = (line for line in text.splitlines() if line.startswith("| ") and SUBMISSION in line)
    assert row.split("|")[5].strip() == "-"  # training time
    (result,) = {
        path.read_text()
        for path in finished.glob("results/runs/small/*/fold1/seed0/result.json")
        if SUBMISSION in path.read_text()
    }
    assert len(json.loads(result)["versions"]["submission_sha256"]) == 64


def test_a_submission_that_changed_since_it_was_fetched_is_refused(finished: Path) -> None:
    path = finished / f"downloads/{SUBMISSION}.json.gz"
    content = path.read_bytes()
    try:
        path.write_bytes(content + b"0")
        run = snakemake(
            "--configfile", finished / "config.yaml", "--forcerun", "published", directory=finished, check=False
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
    assert "'splits.kind' has the value 'kfold', but the grid has a published submission" in run.stderr


@pytest.mark.parametrize(("name", "seeds"), [("matbench_mp_gap_cpu", 2), ("matbench_mp_gap_cpu_four", 4)])
def test_published_models_are_planned_beside_the_others(tmp_path: Path, name: str, seeds: int) -> None:
    config = ROOT / "configs" / f"{name}.yaml"
    counts = job_counts(snakemake("-n", "--configfile", config, directory=tmp_path))
    assert (counts["fetch_submission"], counts["published"], counts["train"]) == (4, 4 * 2 * seeds, 2 * seeds)
    assert "baseline" not in counts


def test_a_submission_of_one_fold_is_refused_in_one_line(finished: Path) -> None:
    arguments = ("matbench_submission", "--configfile", finished / "config.yaml")
    run = snakemake(*arguments, directory=finished, check=False)
    assert run.returncode != 0
    assert "a Matbench submission needs all official folds; missing: 0, 2, 3, 4" in run.stderr
    assert "Traceback" not in run.stderr
    assert not (finished / "results" / "submissions" / "small").exists()
