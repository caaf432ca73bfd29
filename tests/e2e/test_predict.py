"""The command `sitenet predict` on real crystals in the files that researchers have."""

import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pymatgen.core import Structure
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Poscar

from sitenet.data.crystal import Crystal
from sitenet.data.table import CrystalTable, bundled_path
from sitenet.features.featurize import neighbour_distances
from sitenet.features.store import FeatureStore
from sitenet.prediction.predictor import predict
from sitenet.training.run import train
from tests.training_case import FEATURES, NETWORK, Inputs, write_inputs

COMMAND = [sys.executable, "-c", "from sitenet.cli import main; main()", "predict"]
REAL = list(CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals(0, 3))
NAMES = ("mine/a.cif", "mine/deep/POSCAR", "c.vasp")


def text_of(name: str, crystal: Crystal) -> str:
    structure = Structure(crystal.lattice, crystal.atomic_numbers.tolist(), crystal.frac_coords)
    if name.endswith(".cif"):
        return str(CifWriter(structure, significant_figures=12))
    return Poscar(structure).get_str(significant_figures=16)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def best(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    job = inputs.job(tmp_path_factory.mktemp("run"), max_epochs=1)
    train(job)
    return job.folder / "best.pt"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine/deep").mkdir(parents=True)
    for name, crystal in zip(NAMES, REAL, strict=True):
        (tmp_path / name).write_text(text_of(name, crystal))
    (tmp_path / "mine/notes.txt").write_text("not a structure")
    return tmp_path


def run(folder: Path, *arguments: Path | str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=300)


def test_folders_and_files_get_the_predictions_of_the_workflow(inputs: Inputs, best: Path, folder: Path) -> None:
    done = run(folder, best, "mine", "c.vasp", "mine/a.cif")
    assert done.returncode == 0, done.stderr
    frame = pd.read_csv(io.StringIO(done.stdout))
    assert frame["id"].tolist() == list(NAMES)
    assert set(frame["unit"]) == {"eV"}
    expected = predict(best, FeatureStore([inputs.shard]), [crystal.id for crystal in REAL])
    np.testing.assert_allclose(frame["prediction"], expected["prediction"], rtol=1e-4, atol=1e-5)


def test_attention_covers_the_supercell(best: Path, folder: Path) -> None:
    done = run(folder, best, "mine", "--out", "mine.csv", "--attention", "maps.npz")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert pd.read_csv(folder / "mine.csv")["id"].tolist() == list(NAMES[:2])
    with np.load(folder / "maps.npz") as maps:
        blocks = range(1, NETWORK.blocks + 1)
        assert set(maps) == {f"{name}/block{block}" for name in NAMES[:2] for block in blocks}
        for name, crystal in zip(NAMES[:2], REAL, strict=False):
            _, distances = neighbour_distances(crystal, FEATURES)
            for block in blocks:
                weights = maps[f"{name}/block{block}"]
                assert weights.shape == (len(distances), distances[0].size, NETWORK.heads)
                np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-4)


def test_an_ensemble_averages_and_tells_the_spread(inputs: Inputs, best: Path, folder: Path, tmp_path: Path) -> None:
    job = inputs.job(tmp_path / "run", max_epochs=2)
    train(job)
    done = run(folder, best, "mine", "c.vasp", "--ensemble", job.folder / "best.pt")
    assert done.returncode == 0, done.stderr
    store, ids = FeatureStore([inputs.shard]), [crystal.id for crystal in REAL]
    members = np.array([predict(path, store, ids)["prediction"] for path in (best, job.folder / "best.pt")])
    frame = pd.read_csv(io.StringIO(done.stdout))
    np.testing.assert_allclose(frame["prediction"], members.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(frame["spread"], abs(members[0] - members[1]) / np.sqrt(2), rtol=1e-3, atol=1e-5)
    assert frame["spread"].max() > 1e-4


def test_a_checkpoint_given_twice_makes_no_ensemble(best: Path, folder: Path) -> None:
    done = run(folder, best, "c.vasp", "--ensemble", best)
    assert done.returncode == 1
    assert done.stderr.startswith("sitenet: a checkpoint is given twice: ")


def test_networks_of_other_features_make_no_ensemble(inputs: Inputs, best: Path, folder: Path, tmp_path: Path) -> None:
    other, content = tmp_path / "other.pt", torch.load(best, weights_only=True)
    metadata = json.loads(content["metadata"])
    metadata["description"]["settings"]["features"]["max_sites"] += 1
    torch.save(content | {"metadata": json.dumps(metadata)}, other)
    done = run(folder, best, "c.vasp", "--ensemble", other)
    assert done.returncode == 1
    assert done.stderr.startswith(f"sitenet: {other} has the feature set sites")
    assert done.stderr.endswith("an ensemble needs the same\n")


def test_weights_of_another_network_are_refused(best: Path, folder: Path) -> None:
    content = torch.load(best, weights_only=True)
    content["weights"].popitem()
    torch.save(content, folder / "older.pt")
    done = run(folder, "older.pt", "c.vasp")
    assert done.returncode == 1
    assert done.stderr.startswith("sitenet: older.pt: weights of sitenet 0.1.0 (training stage ")
    assert "do not fit the network" in done.stderr


def test_crystals_that_cannot_be_used_are_listed_and_the_others_written(best: Path, folder: Path) -> None:
    (folder / "mine/b.cif").write_text("data_nothing")
    (folder / "empty").mkdir()
    done = run(folder, best, "mine", "c.vasp", "none.cif", "empty", "mine/notes.txt", "--out", "all.csv")
    assert done.returncode == 1
    assert pd.read_csv(folder / "all.csv")["id"].tolist() == list(NAMES)
    lines = dict(line.split(": ", 1) for line in done.stderr.splitlines() if ": " in line)
    assert lines["mine/b.cif"].startswith("unreadable: ")
    assert lines["none.cif"] == "missing file: no such file"
    assert lines["empty"] == "missing file: the folder contains no structure file"
    assert "is none of .cif" in lines["mine/notes.txt"]
    assert lines["sitenet"] == "4 of 7 crystals cannot be used"


def test_no_file_in_a_folder_is_passed_over(best: Path, folder: Path) -> None:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (folder / "c.vasp").rename(elsewhere / "c.vasp")
    (folder / "mine/linked").symlink_to(elsewhere)
    (folder / "mine/packed.cif.gz").write_bytes(gzip.compress((folder / "mine/a.cif").read_bytes()))
    (folder / "mine" / os.fsdecode(b"odd-\xff.mcif")).write_bytes((folder / "mine/a.cif").read_bytes())
    (folder / "mine/\x1b[31mred.cif").write_text("data_\x1b[31m")
    (folder / "mine/gone.cif").symlink_to(folder / "nowhere")
    done = run(folder, best, "mine", "--out", "all.csv")
    assert done.returncode == 1
    assert pd.read_csv(folder / "all.csv")["id"].tolist() == [
        "mine/a.cif",
        "mine/deep/POSCAR",
        r"mine/odd-\udcff.mcif",
        "mine/packed.cif.gz",
    ]
    assert "\x1b" not in done.stderr
    lines = dict(line.split(": ", 1) for line in done.stderr.splitlines() if ": " in line)
    assert lines["mine/linked"].startswith("unreadable: a link to a folder, which is not followed")
    assert lines["mine/gone.cif"] == "missing file: no such file"
    assert lines[r"mine/\x1b[31mred.cif"].startswith("unreadable: ")
    assert lines["sitenet"] == "3 of 7 crystals cannot be used"


@pytest.mark.parametrize(
    ("checkpoint", "options", "message"),
    [
        ("none.pt", [], "there is no checkpoint none.pt"),
        ("c.vasp", [], "c.vasp is not a readable checkpoint of sitenet"),
        (None, ["--out", "nowhere/all.csv"], "cannot write nowhere/all.csv: No such file or directory"),
        (None, ["--attention", "nowhere/all.npz"], "cannot write nowhere/all.npz: No such file or directory"),
    ],
)
def test_errors_are_one_line(
    best: Path, folder: Path, checkpoint: str | None, options: list[str], message: str
) -> None:
    done = run(folder, checkpoint or best, "c.vasp", *options)
    assert (done.returncode, done.stderr) == (1, f"sitenet: {message}\n")
