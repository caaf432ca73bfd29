"""Tables that would lose something are kept under the next number."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sitenet.config.benchmark import Benchmark
from sitenet.evaluation.former import keep, losses

CONFIG: dict[str, Any] = {
    "dataset": {"source": "bundled", "name": "mp_dielectric_gap", "max_crystals": 60},
    "splits": {"kind": "kfold", "n_folds": 3},
    "folds": [0, 1],
    "grid": [{"model": {"kind": "dummy", "statistic": ["mean", "median"]}}, {"model": {"kind": "random_forest"}}],
}


def resolved(**changes: Any) -> dict[str, Any]:
    return Benchmark(CONFIG | changes).resolved()


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = Path("results/tables/mine")
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(resolved()))
    (folder / "leaderboard.csv").write_text("first")
    return folder


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"folds": [1, 0, 2], "seeds": [0, 1], "resamples": 500, "shards": 9}, []),
        ({"grid": [*CONFIG["grid"], {"model": {"kind": "random_forest", "n_trees": 7}}]}, []),
        ({"dataset": CONFIG["dataset"] | {"max_failed_share": 0.5}}, []),
        ({"folds": [0]}, ["folds [0] in place of [0, 1]"]),
        ({"folds": [2, 1], "seeds": [3]}, ["folds [2, 1] in place of [0, 1]", "seeds [3] in place of [0]"]),
        ({"grid": CONFIG["grid"][1:]}, ["without 2 of 3 trials (dummy)"]),
        ({"dataset": CONFIG["dataset"] | {"max_crystals": None}}, ["dataset.max_crystals None in place of 60"]),
        ({"splits": {"kind": "kfold", "n_folds": 4}}, ["splits.n_folds 4 in place of 3"]),
    ],
)
def test_only_what_is_lost_is_named(tables: Path, changes: dict[str, Any], said: list[str]) -> None:
    assert losses(tables, resolved(**changes)) == said


def test_no_tables_lose_nothing_and_a_damaged_record_is_no_reason_to_replace_them(tables: Path, tmp_path: Path) -> None:
    assert losses(tmp_path / "nothing", resolved()) == []
    for content in (b"", b"a: [", b"folds: [0]", b"\xff"):
        (tables / "config.yaml").write_bytes(content)
        assert losses(tables, resolved()) == ["a config.yaml that cannot be read"]


def test_each_content_is_kept_once(tables: Path) -> None:
    figures = Path("results/figures/mine")
    figures.mkdir(parents=True)
    (figures / "parity.svg").write_text("drawing")
    assert keep("mine", tables, figures) == Path("results/former/mine-1")
    assert keep("mine", tables, figures) == Path("results/former/mine-1")
    (tables / "leaderboard.csv").write_text("second")
    assert keep("mine", tables, figures) == Path("results/former/mine-2")
    assert keep("mine-2", tables, figures) == Path("results/former/mine-2-1")
    assert Path("results/former/mine-1/tables/leaderboard.csv").read_text() == "first"
    assert Path("results/former/mine-2/tables/leaderboard.csv").read_text() == "second"
    assert Path("results/former/mine-2/figures/parity.svg").read_text() == "drawing"
