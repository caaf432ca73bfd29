"""A target that is a class, from the user's file to the leaderboard, the figures, the page and new predictions."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from sitenet.data.table import bundled_path
from sitenet.prediction.model import load_model
from tests.workflow.running import snakemake

TABLES = "results/tables/wide_gap"
NETWORK = {"kind": "sitenet_radial", "cutoff": 4.0, "blocks": 1}
CONFIG = {
    "name": "wide_gap",
    "dataset": {
        "source": "files",
        "name": "wide_gap",
        "path": "wide_gap.parquet",
        "target": "wide gap",
        "task": "classification",
        "max_crystals": 160,
    },
    "splits": {"kind": "kfold", "n_folds": 2},
    "folds": [0],
    "seeds": [0, 1],
    "shards": 2,
    "resamples": 200,
    "analysis": {"cutoffs": [3.0], "folds": [0]},
    "grid": [
        {
            "model": NETWORK | {"width": [16, 32]},
            "features": {"radius": 4.0},
            "training": {"learning_rate": 5e-3, "max_epochs": 6, "ema_decay": 0.9, "batch_pairs": 500},
        },
        {"model": {"kind": "random_forest", "n_trees": 30}},
        {"model": {"kind": "sklearn", "estimator": "sklearn.naive_bayes.GaussianNB"}},
        {"model": {"kind": "dummy"}},
    ],
}


def write_inputs(folder: Path) -> Path:
    """The bundled crystals, and whether their gap is above 3 eV."""
    crystals = pd.read_parquet(bundled_path("mp_dielectric_gap"))
    crystals["target"] = crystals["band_gap"] > 3
    crystals.drop(columns="band_gap").to_parquet(folder / "wide_gap.parquet")
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    return folder / "config.yaml"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("classes")
    run = snakemake("--configfile", write_inputs(folder), directory=folder)
    return folder, run.stdout + run.stderr


def test_models_are_ranked_by_their_area(finished: tuple[Path, str]) -> None:
    table = pd.read_csv(finished[0] / TABLES / "leaderboard.csv")
    assert table["rank"].tolist() == [1, 2, 3, 4, 5]
    assert table["roc_auc"].is_monotonic_decreasing
    assert table["model"].iloc[-1] == "dummy (mean)"
    assert table["verdict"].iloc[[0, -1]].tolist() == ["best", "worse"]
    own = table.set_index("model").loc["random_forest"]
    assert 0.5 < own["roc_auc_low"] < own["roc_auc"] < own["roc_auc_high"] <= 1


def test_scores_are_those_of_the_predictions(finished: tuple[Path, str]) -> None:
    table = pd.read_csv(finished[0] / TABLES / "leaderboard.csv").set_index("model")
    frame = pd.read_csv(finished[0] / TABLES / "predictions.csv.gz")
    assert frame["prediction"].between(0, 1).all()
    assert set(frame["target"]) == {0, 1}
    for model, own in frame.groupby("model"):
        areas = [roc_auc_score(run["target"], run["prediction"]) for _, run in own.groupby(["fold", "seed"])]
        assert table.loc[str(model), "roc_auc"] == pytest.approx(sum(areas) / len(areas))


def chosen_trials(folder: Path) -> dict[str, str]:
    """The selected network of each fold."""
    rows = json.loads((folder / TABLES / "leaderboard.json").read_text())["models"]
    return next(row["chosen"] for row in rows if row["model"] == "sitenet_radial")


def test_networks_are_chosen_by_the_log_loss(finished: tuple[Path, str]) -> None:
    folder = finished[0]
    trials = pd.read_csv(folder / TABLES / "trials.csv")
    networks = trials[trials["kind"] == "sitenet_radial"].set_index("trial")
    assert chosen_trials(folder) == {"0": networks["validation_log_loss_fold0"].idxmin()}
    for path in folder.glob("results/runs/wide_gap/*/fold0/seed0/run.json"):
        record = json.loads(path.read_text())
        assert record["validation_log_loss"] > 0
        assert "validation_mae" not in record


def test_the_terminal_says_what_the_classes_are(finished: tuple[Path, str]) -> None:
    said = finished[1]
    assert re.search(r"wide_gap: 160 targets of 1,056 rows are used \(wide gap\): \d+ of class 1, \d+ of class 0", said)
    assert "ROC-AUC, 95 % interval" in said
    assert "MAE" not in said


def test_figures_and_page_are_those_of_classes(finished: tuple[Path, str]) -> None:
    figures = {path.stem for path in (finished[0] / "results/figures/wide_gap").glob("*.svg")}
    assert {"leaderboard", "roc", "reliability", "epoch_curves", "ablation", "attention_cutoff"} <= figures
    assert "parity" not in figures
    page = (finished[0] / TABLES / "index.html").read_text().partition('<script type="text/plain"')[0]
    assert 'data-key="roc/0"' in page
    assert not re.search(r"\bMAE\b", page)
    cutoffs = pd.read_csv(finished[0] / TABLES / "attention_cutoff.csv")
    assert cutoffs["brier"].between(0, 1).all()


def test_a_network_gives_new_crystals_a_probability(finished: tuple[Path, str]) -> None:
    folder = finished[0]
    frame = pd.read_csv(folder / TABLES / "predictions.csv.gz")
    network = frame[(frame["model"] == "sitenet_radial") & (frame["fold"] == 0) & (frame["seed"] == 0)]
    model = load_model(folder / f"results/runs/wide_gap/{chosen_trials(folder)['0']}/fold0/seed0/best.pt")
    found = model.predict(folder / "wide_gap.parquet", cores=1).set_index("id").loc[network["id"]]
    assert found["prediction"].tolist() == pytest.approx(network["prediction"].tolist(), abs=1e-4)


def test_numbers_under_the_name_of_classes_stop_with_one_line(tmp_path: Path) -> None:
    path = write_inputs(tmp_path)
    crystals = pd.read_parquet(tmp_path / "wide_gap.parquet")
    crystals.assign(target=[i / 100 for i in range(len(crystals))]).to_parquet(tmp_path / "wide_gap.parquet")
    run = snakemake("--configfile", path, directory=tmp_path, check=False)
    failed = run.stdout + run.stderr
    assert re.search(
        r"failed: load data: data set 'wide_gap': 1,?054 of 1,?056 crystals cannot be used \(1054 bad target\)", failed
    )
