"""The whole workflow on real crystals, through the installed commands."""

import json
import re
import shutil
from base64 import b64encode
from pathlib import Path

import pandas as pd
import pytest
import yaml

from sitenet.data.manifest import Splits
from sitenet.data.table import bundled_path
from tests.workflow.running import job_counts, snakemake

NAME = "small"
SITENET_MODEL = {"kind": "sitenet", "blocks": 1, "attention_hidden": [[32]], "head_hidden": [[32]]}


def write_config(folder: Path, epochs: list[int]) -> Path:
    sitenet = {
        "model": SITENET_MODEL,
        "features": {"max_sites": 20},
        "training": {"max_epochs": epochs, "learning_rate": 0.002},
    }
    config = {
        "name": NAME,
        "dataset": {"source": "bundled", "name": "mp_dielectric_gap", "max_crystals": 60},
        "splits": {"kind": "kfold", "n_folds": 2, "seed": 0},
        "shards": 2,
        "resamples": 1000,
        "grid": [sitenet, {"model": {"kind": "dummy"}}, {"model": {"kind": "random_forest", "n_trees": 20}}],
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the small benchmark has run."""
    folder = tmp_path_factory.mktemp("benchmark")
    snakemake("--configfile", write_config(folder, epochs=[2]), directory=folder)
    return folder


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "results" / "tables" / NAME / name)


def errors_of_runs(folder: Path) -> dict[tuple[str, int], pd.Series]:
    """Absolute errors by kind and fold, computed anew from a run's predictions and the bundled targets."""
    targets = pd.read_parquet(bundled_path("mp_dielectric_gap")).set_index("id")["band_gap"]
    errors = {}
    for path in sorted(folder.glob("results/runs/*/*/*/*/result.json")):
        predictions = pd.read_parquet(path.parent / "predictions.parquet").set_index("id")["prediction"]
        record = json.loads(path.read_text())
        errors[record["kind"], record["key"]["fold"]] = (predictions - targets.loc[predictions.index]).abs()
        assert record["test"]["values"]["mae"] == pytest.approx(
            errors[record["kind"], record["key"]["fold"]].mean(), abs=1e-12
        )
    return errors


def test_scores_and_ranks_are_those_of_the_predictions(finished: Path) -> None:
    errors = errors_of_runs(finished)
    names = {"sitenet": "sitenet", "dummy": "dummy (mean)", "random_forest": "random_forest"}
    assert errors.keys() == {(kind, fold) for kind in names for fold in (0, 1)}
    expected = {name: (errors[kind, 0].mean() + errors[kind, 1].mean()) / 2 for kind, name in names.items()}
    leaderboard = table(finished, "leaderboard.csv").set_index("model")
    assert leaderboard.index.tolist() == sorted(expected, key=lambda name: expected[name])
    assert leaderboard["rank"].tolist() == [1, 2, 3]
    assert leaderboard["mae"].to_dict() == pytest.approx(expected, abs=1e-12)
    assert (leaderboard["mae_low"] < leaderboard["mae"]).all()
    assert (leaderboard["mae"] < leaderboard["mae_high"]).all()
    assert (leaderboard["n_test"] == 60).all()


def test_test_targets_do_not_reach_training(finished: Path) -> None:
    """Each crystal is tested once, never trained on in the same fold, and its target is not in the inputs."""
    tested: list[str] = []
    for fold in sorted(finished.glob("results/data/*/folds/fold*")):
        inputs = pd.read_parquet(fold / "test_inputs.parquet")
        assert list(inputs.columns) == ["id"]
        assert not set(inputs["id"]) & set(pd.read_parquet(fold / "train.parquet")["id"])
        tested += inputs["id"].tolist()
    assert len(tested) == len(set(tested)) == 60


def test_other_test_targets_change_scores_alone(finished: Path, tmp_path: Path) -> None:
    """Trained, predicted and selected again where every test target is another."""
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    for path in folder.glob("results/data/*/folds/*/test_targets.parquet"):
        frame = pd.read_parquet(path)
        frame.assign(target=frame["target"] + 100).to_parquet(path, index=False)
    (splits,) = folder.glob("results/data/*/splits.json")
    tables = [str(path.relative_to(splits.parent)) for path in splits.parent.glob("folds/*/*.parquet")]
    Splits.read(splits).write(splits, files=tables)
    for path in folder.glob("results/runs/*/*/*/*/last.pt"):
        path.unlink()
    forced = ("--forcerun", "train", "baseline", "select_trials", "--")
    snakemake("--configfile", folder / "config.yaml", *forced, directory=folder)
    for pattern, count in {"runs/*/*/*/*/predictions.parquet": 6, "selected/*/*/selection.json": 2}.items():
        paths = sorted(finished.glob(f"results/{pattern}"))
        assert len(paths) == count
        for path in paths:
            again = folder / path.relative_to(finished)
            assert again.stat().st_mtime > path.stat().st_mtime
            assert again.read_bytes() == path.read_bytes(), path
    assert (table(folder, "leaderboard.csv")["mae"] > 90).all()


def test_second_call_does_nothing(finished: Path) -> None:
    again = snakemake("-n", "--configfile", finished / "config.yaml", directory=finished)
    assert job_counts(again) == {}


def test_one_more_grid_value_runs_only_its_jobs(finished: Path, tmp_path: Path) -> None:
    more = snakemake("-n", "--configfile", write_config(tmp_path, epochs=[2, 3]), directory=finished)
    counts = job_counts(more)
    assert {rule: counts[rule] for rule in ("train", "score")} == {"train": 2, "score": 2}
    assert not {"load_data", "split", "featurize", "baseline"} & set(counts)


TABLES_ALONE = {"leaderboard": 1, "figures": 1, "page": 1, "all": 1, "total": 4}


def test_hyperparameter_at_its_default_trains_nothing(finished: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((finished / "config.yaml").read_text())
    config["grid"][0]["model"]["pooling"] = "mean"
    config["grid"][0]["training"]["loss"] = "l1"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    counts = job_counts(snakemake("-n", "--configfile", tmp_path / "config.yaml", directory=finished))
    assert counts == TABLES_ALONE


def test_same_seed_gives_the_same_numbers(finished: Path, tmp_path: Path) -> None:
    snakemake("--configfile", finished / "config.yaml", directory=tmp_path)
    for name in ("leaderboard.csv", "trials.csv"):
        first, second = table(finished, name), table(tmp_path, name)
        same = [column for column in map(str, first) if "seconds" not in column and "memory" not in column]
        pd.testing.assert_frame_equal(first[same], second[same], check_exact=True)


def test_figures_and_report_are_there(finished: Path) -> None:
    figures = finished / "results" / "figures" / NAME
    names = {path.name for path in figures.iterdir()}
    assert {"parity.svg", "parity.png", "epoch_curves.svg", "epoch_curves.png"} <= names
    snakemake("--report", finished / "report.html", "--configfile", finished / "config.yaml", directory=finished)
    shown = [*figures.glob("*.svg"), *(finished / "results" / "tables" / NAME).glob("*.csv")]
    assert len(shown) == 7
    assert_shown(finished / "report.html", shown)


def assert_shown(report: Path, files: list[Path]) -> None:
    """The report holds the content of these files."""
    text = report.read_text()
    assert not [path.name for path in files if b64encode(path.read_bytes()).decode() not in text]


@pytest.mark.slow
def test_scan_of_training_sizes_is_compared_and_drawn(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    config = yaml.safe_load((finished / "config.yaml").read_text())
    config["grid"][0]["training"]["max_crystals"] = [None, 10]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    snakemake("--configfile", tmp_path / "config.yaml", directory=folder)
    reference, smaller = table(folder, "ablation.csv").fillna("").to_dict("records")
    assert (reference["changes"], smaller["changes"]) == ("", "max_crystals: null -> 10")
    assert smaller["difference"] == pytest.approx(smaller["test_mae"] - reference["test_mae"])
    assert smaller["difference_low"] < smaller["difference"] < smaller["difference_high"]
    names = {path.name for path in (folder / "results" / "figures" / NAME).iterdir()}
    assert {"ablation.svg", "ablation.png", "training_size.svg", "training_size.png"} <= names
    snakemake("--report", folder / "report.html", "--configfile", tmp_path / "config.yaml", directory=folder)
    figures, tables = (folder / "results" / kind / NAME for kind in ("figures", "tables"))
    shown = [figures / "ablation.svg", figures / "training_size.svg", tables / "ablation.csv"]
    assert_shown(folder / "report.html", shown)
    (folder / "results/runs" / NAME / smaller["trial"] / "fold1/seed0/result.json").unlink()
    snakemake("tables_so_far", "--configfile", tmp_path / "config.yaml", directory=folder)
    assert table(folder, "so_far/ablation.csv")["runs_paired"].fillna(-1).tolist() == [-1, 1]  # the reference has none


def test_tables_so_far_say_what_is_missing(finished: Path, tmp_path: Path) -> None:
    """A run that failed leaves the others with a table."""
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    next(folder.glob("results/runs/small/*/fold1/seed0/best.pt")).with_name("result.json").unlink()
    snakemake("tables_so_far", "--configfile", folder / "config.yaml", directory=folder)
    leaderboard = table(folder, "so_far/leaderboard.csv").set_index("model")
    assert leaderboard["folds_scored"].to_dict() == {"sitenet": 1, "dummy (mean)": 2, "random_forest": 2}
    assert (leaderboard["folds_planned"] == 2).all()
    assert re.search(
        r"Missing: 1 of \d+ planned runs", (folder / "results/tables/small/so_far/leaderboard.md").read_text()
    )
    assert leaderboard["rank"].isna().to_dict() == {"sitenet": True, "dummy (mean)": False, "random_forest": False}


def test_accepting_more_failures_reruns_the_tables_alone(finished: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((finished / "config.yaml").read_text())
    config["dataset"]["max_failed_share"] = 0.5
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    counts = job_counts(snakemake("-n", "--configfile", tmp_path / "config.yaml", directory=finished))
    assert counts == TABLES_ALONE


def test_damaged_shard_is_named_and_results_stay(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    (shard, *_) = sorted(folder.glob("results/features/*/*/shard0of2.arrow"))
    shard.write_bytes(shard.read_bytes()[:-100])
    before = (folder / "results/tables/small/leaderboard.csv").read_bytes()
    config = write_config(tmp_path, epochs=[2, 3])
    run = snakemake("--configfile", config, "--rerun-triggers", "input", directory=folder, check=False)
    assert run.returncode != 0
    assert "shard0of2.arrow is damaged" in run.stderr
    assert (folder / "results/tables/small/leaderboard.csv").read_bytes() == before
