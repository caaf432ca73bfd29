"""Fine-tuning by the real workflow: a training starts from a checkpoint, which is an input of its job."""

import shutil
from pathlib import Path

import pytest
import yaml

from sitenet.files import sha256_of
from sitenet.records import RunResult
from sitenet.training.checkpoint import load_best
from tests.workflow.running import ROOT, job_counts, snakemake

pytestmark = pytest.mark.slow

GAP = ROOT / "docs" / "results" / "matbench_mp_gap_cpu" / "fold1"
CONFIG = {
    "name": "tuned",
    "dataset": {"source": "bundled", "name": "mp_dielectric_index", "max_crystals": 60},
    "splits": {"kind": "kfold", "n_folds": 2},
    "folds": [0],
    "shards": 1,
    "grid": [
        {
            "model": {"kind": "sitenet_radial"},
            "features": {"radius": 5.0},
            "training": {"max_epochs": 1, "start_from": "gap.pt", "trained": ["all", "readout"]},
        }
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished benchmark that tunes a network for band gaps to refractive indices."""
    folder = tmp_path_factory.mktemp("tuned")
    shutil.copy(GAP / "seed0" / "best.pt", folder / "gap.pt")
    (folder / "tuned.yaml").write_text(yaml.safe_dump(CONFIG))
    snakemake("--configfile", folder / "tuned.yaml", directory=folder)
    return folder


def test_records_checkpoints_and_tables_say_where_it_started(folder: Path) -> None:
    records = sorted(folder.glob("results/runs/tuned/*/fold0/seed0/result.json"))
    assert len(records) == 2
    origin = f"fine-tuned from gap.pt, SHA-256 {sha256_of(folder / 'gap.pt')}, trained for gap pbe on fold 1 of"
    for record in records:
        assert RunResult.read(record).origin.startswith(origin)
        assert load_best(record.with_name("best.pt"))[0].origin.startswith(origin)
        assert f"- Trial {record.parts[-4]}: {origin}" in (folder / "results/tables/tuned/leaderboard.md").read_text()
    trials = (folder / "results/tables/tuned/trials.md").read_text()
    assert "training.trained" in trials
    assert "readout" in trials


def test_a_changed_checkpoint_trains_again(folder: Path) -> None:
    """And a checkpoint that is gone does so only where it is still needed."""
    again = ("-n", "--configfile", folder / "tuned.yaml")
    assert job_counts(snakemake(*again, directory=folder)) == {}
    (folder / "gap.pt").rename(folder / "away.pt")
    assert "train" not in job_counts(snakemake(*again, directory=folder))
    shutil.copy(GAP / "seed1" / "best.pt", folder / "gap.pt")
    assert job_counts(snakemake(*again, directory=folder))["train"] == 2


def test_a_checkpoint_that_does_not_exist_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "tuned.yaml").write_text(yaml.safe_dump(CONFIG))
    run = snakemake("-n", "--configfile", tmp_path / "tuned.yaml", directory=tmp_path, check=False)
    assert run.returncode != 0
    said = "configuration key 'training.start_from' has the value 'gap.pt': there is no such file in"
    assert [line for line in (run.stdout + run.stderr).splitlines() if said in line]
