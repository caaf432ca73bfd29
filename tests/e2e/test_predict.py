"""The command `sitenet predict` on real crystals in the files that researchers have."""

import gzip
import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pymatgen.core import Structure
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Poscar

from sitenet.cli import main
from sitenet.data.crystal import Crystal
from sitenet.data.table import CrystalTable, bundled_path, write_crystals
from sitenet.features.featurize import featurize, neighbour_distances
from sitenet.features.store import FeatureStore, write_shard
from sitenet.prediction.card import pretrained_model
from sitenet.prediction.predictor import Predictor, predict
from sitenet.training.run import train
from tests.training_case import FEATURES, NETWORK, Inputs, write_inputs

COMMAND = [str(Path(sys.executable).with_name("sitenet")), "predict"]
REAL = list(CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals(0, 3))
NAMES = ("mine/a.cif", "mine/deep/POSCAR", "c.vasp")


def structure_of(crystal: Crystal) -> Structure:
    return Structure(crystal.lattice, crystal.atomic_numbers.tolist(), crystal.frac_coords)


def text_of(name: str, crystal: Crystal) -> str:
    structure = structure_of(crystal)
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
    """Runs the command in this process, which has loaded torch; see `installed`."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    with chdir(folder), redirect_stdout(out), redirect_stderr(err):
        try:
            main(["predict", *map(str, arguments)])
        except SystemExit as end:
            status = int(end.code or 0)
    return subprocess.CompletedProcess([], status, out.getvalue(), err.getvalue())


def installed(folder: Path, *arguments: Path | str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the command as users do."""
    return subprocess.run(
        [str(word) for word in (*COMMAND, *arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        input=stdin,
    )


def table_of(done: subprocess.CompletedProcess[str]) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(done.stdout))


def test_folders_and_files_get_the_predictions_of_the_workflow(inputs: Inputs, best: Path, folder: Path) -> None:
    done = run(folder, "mine", "c.vasp", "mine/a.cif", "--model", best)
    assert done.returncode == 0, done.stderr
    frame = table_of(done)
    assert list(frame) == ["id", "formula", "prediction", "spread", "unit", "reason"]
    assert sorted(frame["id"]) == sorted(NAMES)
    assert set(frame["unit"]) == {"eV"}
    assert frame["reason"].isna().all()
    assert frame["spread"].isna().all()
    expected = predict(best, FeatureStore([inputs.shard]), [crystal.id for crystal in REAL])["prediction"]
    np.testing.assert_allclose(frame.set_index("id")["prediction"][list(NAMES)], expected, rtol=1e-4, atol=1e-5)


def test_the_model_that_comes_with_the_package_needs_no_argument(folder: Path) -> None:
    done = installed(folder, "mine", "c.vasp")
    assert done.returncode == 0, done.stderr
    frame = table_of(done)
    ids, names = [crystal.id for crystal in REAL], [*NAMES]
    networks = pretrained_model("band-gap").networks
    settings = Predictor.load(networks[0], "cpu").trial.features
    write_shard(shard := folder / "shard.arrow", [featurize(crystal, settings) for crystal in REAL], settings)
    members = np.array([predict(network, FeatureStore([shard]), ids)["prediction"] for network in networks])
    ours = frame.set_index("id").loc[names]
    np.testing.assert_allclose(ours["prediction"], members.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(ours["spread"], members.std(axis=0, ddof=1), atol=1e-4)


def test_attention_covers_the_supercell(best: Path, folder: Path) -> None:
    done = run(folder, "mine", "--model", best, "--out", "mine.csv", "--attention", "maps.npz")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert sorted(pd.read_csv(folder / "mine.csv")["id"]) == sorted(NAMES[:2])
    with np.load(folder / "maps.npz") as maps:
        blocks = range(1, NETWORK.blocks + 1)
        assert set(maps) == {f"{name}/block{block}" for name in NAMES[:2] for block in blocks}
        for name, crystal in zip(NAMES[:2], REAL, strict=False):
            _, distances = neighbour_distances(crystal, FEATURES)
            for block in blocks:
                weights = maps[f"{name}/block{block}"]
                assert weights.shape == (len(distances), distances[0].size, NETWORK.heads)
                np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-4)


def test_maps_of_crystals_with_one_name_are_refused(best: Path, folder: Path) -> None:
    entries = [structure_of(crystal).as_dict() | {"material_id": "same"} for crystal in REAL[:2]]
    (folder / "twice.json").write_text(json.dumps(entries))
    done = run(folder, "twice.json", "--model", best, "--attention", "maps.npz")
    assert done.returncode != 0
    assert "--attention: two crystals are called" in done.stderr
    assert not (folder / "maps.npz").exists()


@pytest.fixture(scope="module")
def seeds(inputs: Inputs, best: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two seeds, as the workflow leaves them."""
    folder = tmp_path_factory.mktemp("fold0")
    train(inputs.job(folder / "seed1", max_epochs=2))
    (folder / "seed0").mkdir()
    (folder / "seed0/best.pt").write_bytes(best.read_bytes())
    return folder


def test_an_ensemble_averages_and_tells_the_spread(inputs: Inputs, seeds: Path, folder: Path) -> None:
    files = [seeds / "seed0/best.pt", seeds / "seed1/best.pt"]
    done = run(folder, "mine", "c.vasp", "--model", files[0], "--model", files[1])
    assert done.returncode == 0, done.stderr
    store, ids = FeatureStore([inputs.shard]), [crystal.id for crystal in REAL]
    members = np.array([predict(path, store, ids)["prediction"] for path in files])
    frame = table_of(done).set_index("id").loc[list(NAMES)]
    np.testing.assert_allclose(frame["prediction"], members.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(frame["spread"], abs(members[0] - members[1]) / np.sqrt(2), rtol=1e-3, atol=1e-5)
    assert frame["spread"].max() > 1e-4
    of_folder = run(folder, "mine", "c.vasp", "--model", seeds)
    assert of_folder.stdout == done.stdout


def test_networks_of_other_features_make_no_ensemble(best: Path, folder: Path, tmp_path: Path) -> None:
    other, content = tmp_path / "other.pt", torch.load(best, weights_only=True)
    metadata = json.loads(content["metadata"])
    metadata["description"]["settings"]["features"]["max_sites"] += 1
    torch.save(content | {"metadata": json.dumps(metadata)}, other)
    done = run(folder, "c.vasp", "--model", best, "--model", other)
    assert done.returncode == 1
    assert done.stderr.startswith(f"sitenet: {other} has the feature set sites")
    assert done.stderr.endswith("an ensemble needs the same\n")


def test_weights_of_another_network_are_refused(best: Path, folder: Path) -> None:
    content = torch.load(best, weights_only=True)
    content["weights"].popitem()
    torch.save(content, folder / "older.pt")
    done = run(folder, "c.vasp", "--model", "older.pt")
    assert done.returncode == 1
    assert done.stderr.startswith("sitenet: older.pt: weights of sitenet 0.1.0 (training stage ")
    assert "do not fit the network" in done.stderr


def test_crystals_that_cannot_be_used_are_rows_with_their_reason(best: Path, folder: Path) -> None:
    (folder / "mine/b.cif").write_text("data_nothing")
    (folder / "empty").mkdir()
    done = run(folder, "mine", "c.vasp", "none.cif", "empty", "mine/notes.txt", "--model", best, "--out", "all.csv")
    assert done.returncode == 1
    frame = pd.read_csv(folder / "all.csv").set_index("id")
    assert frame.index[frame["prediction"].notna()].tolist() == ["mine/a.cif", "mine/deep/POSCAR", "c.vasp"]
    reasons = frame["reason"].dropna().to_dict()
    assert reasons["mine/b.cif"].startswith("unreadable: ")
    assert reasons["none.cif"] == "missing file: no such file"
    assert reasons["empty"] == "missing file: the folder contains no structure file"
    assert "is none of .cif" in reasons["mine/notes.txt"]
    *lines, last = done.stderr.splitlines()
    assert lines == [f"{id_}: {reason}" for id_, reason in reasons.items()]
    assert last == "sitenet: 4 of 7 crystals cannot be used"


def test_no_file_in_a_folder_is_passed_over(best: Path, folder: Path) -> None:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (folder / "c.vasp").rename(elsewhere / "c.vasp")
    (folder / "mine/linked").symlink_to(elsewhere)
    (folder / "mine/packed.cif.gz").write_bytes(gzip.compress((folder / "mine/a.cif").read_bytes()))
    (folder / "mine" / os.fsdecode(b"odd-\xff.mcif")).write_bytes((folder / "mine/a.cif").read_bytes())
    (folder / "mine/\x1b[31mred.cif").write_text("data_\x1b[31m")
    (folder / "mine/gone.cif").symlink_to(folder / "nowhere")
    done = run(folder, "mine", "--model", best, "--out", "all.csv")
    assert done.returncode == 1
    frame = pd.read_csv(folder / "all.csv").set_index("id")
    assert sorted(frame.index[frame["reason"].isna()]) == [
        "mine/a.cif",
        "mine/deep/POSCAR",
        r"mine/odd-\udcff.mcif",
        "mine/packed.cif.gz",
    ]
    assert "\x1b" not in done.stderr
    reasons = frame["reason"]
    assert reasons["mine/linked"].startswith("unreadable: a link to a folder, which is not followed")
    assert reasons["mine/gone.cif"] == "missing file: no such file"
    assert reasons[r"mine/\x1b[31mred.cif"].startswith("unreadable: ")
    assert done.stderr.endswith("sitenet: 3 of 7 crystals cannot be used\n")


def test_every_format_has_the_same_rows(best: Path, folder: Path) -> None:
    (folder / "b.cif").write_text("data_nothing")
    frames = {}
    for name, read in (("a.csv", pd.read_csv), ("a.parquet", pd.read_parquet), ("a.jsonl", read_json_lines)):
        done = run(folder, "b.cif", "mine", "--model", best, "--out", name)
        assert (done.returncode, done.stdout) == (1, "")
        frames[name] = read(folder / name)
    for frame in frames.values():
        pd.testing.assert_frame_equal(frame.fillna(""), frames["a.csv"].fillna(""), check_dtype=False, rtol=1e-5)
    shown = run(folder, "b.cif", "mine", "--model", best, "--format", "table").stdout.splitlines()
    assert shown[0].split() == ["id", "formula", "band_gap", "(eV)", "reason"]
    assert len(shown) == 4
    value = frames["a.csv"].set_index("id")["prediction"]["mine/a.cif"]
    decimals = len(shown[2].split()[2].partition(".")[2])
    assert decimals <= 2
    assert float(shown[2].split()[2]) == round(value, decimals)


def read_json_lines(path: Path) -> pd.DataFrame:
    return pd.DataFrame([json.loads(line) for line in path.read_text().splitlines()])


def test_standard_input_lists_paths(best: Path, folder: Path) -> None:
    done = installed(folder, "-", "--model", best, stdin="mine/a.cif\n\nc.vasp\n")
    assert done.returncode == 0, done.stderr
    assert table_of(done)["id"].tolist() == ["mine/a.cif", "c.vasp"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["c.vasp", "--model", "none.pt"], "there is no checkpoint none.pt"),
        (["c.vasp", "--model", "c.vasp"], "c.vasp is not a readable checkpoint of sitenet"),
        (["c.vasp", "--model", "gap"], "model 'gap' is unknown (valid: band-gap), and there is no such file"),
        (["c.vasp", "--model", "mine"], "mine holds no best.pt, nor do its subfolders: name a folder of seeds"),
        (["c.vasp", "--out", "nowhere/all.csv"], "cannot write nowhere/all.csv: No such file or directory"),
        (["c.vasp", "--out", "all.dat"], "--out all.dat tells no format: end it in .csv, .jsonl, .ndjson, .parquet, "
         ".txt, or give --format"),
        (["c.vasp", "--format", "parquet"], "Parquet needs a file: --out predictions.parquet"),
        (["best.pt", "c.vasp"], "best.pt is a network, not a crystal: write `sitenet predict my.cif --model best.pt`"),
    ],
)  # fmt: skip
def test_errors_are_one_line(folder: Path, arguments: list[str], message: str) -> None:
    done = run(folder, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"sitenet: {message}\n")


def test_a_checkpoint_given_twice_makes_no_ensemble(best: Path, folder: Path) -> None:
    done = run(folder, "c.vasp", "--model", best, "--model", best)
    assert done.returncode == 1
    assert done.stderr.startswith("sitenet: a checkpoint is given twice: ")


def test_many_crystals_are_shared_and_a_reader_may_stop_early(folder: Path) -> None:
    write_crystals(folder / "many.parquet", [*CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals()] * 2)
    command = f"{shlex.join(COMMAND)} many.parquet --cores 2 | head -2"
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=300)
    assert (
        done.stdout.splitlines()[0]
        == "id,formula,prediction,spread,low_80,high_80,low_95,high_95,metal,flags,unit,reason"
    )
    assert done.stdout.splitlines()[1].split(",")[0] == REAL[0].id
    assert done.stderr == ""


def test_ctrl_c_ends_it_at_once_and_leaves_nothing(folder: Path) -> None:
    write_crystals(folder / "many.parquet", [*CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals()] * 40)
    command = [*COMMAND, "many.parquet", "--cores", "2", "--out", "many.csv"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        while not list(folder.glob(".many.csv.*")):
            assert process.poll() is None
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "")
    assert not [path for path in folder.iterdir() if "many.csv" in path.name]


def test_nothing_named_is_an_error(folder: Path) -> None:
    done = installed(folder, "-", "--out", "none.parquet", stdin="")
    assert (done.returncode, done.stderr) == (1, "sitenet: no crystals are named\n")
    assert not (folder / "none.parquet").exists()
