"""The package as others install it: a wheel, which holds the models and everything that predicting needs."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sitenet import load_model
from sitenet.prediction.card import PRETRAINED
from tests.own_files import GOOD, REAL, structure

ROOT = Path(__file__).parents[2]
BUILD = "from setuptools.build_meta import build_wheel; print(build_wheel('built'))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that the repository stays as it is."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("sitenet", "snakemake_logger_plugin_sitenet"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    (folder / "built").mkdir()
    run = subprocess.run([sys.executable, "-c", BUILD], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return folder / "built" / run.stdout.split()[-1]


def test_the_models_are_inside_and_small(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name: archive.read(name) for name in archive.namelist() if name.startswith("sitenet/pretrained/")}
    expected = {path.relative_to(PRETRAINED.parents[1]).as_posix(): path for path in PRETRAINED.glob("*/*")}
    assert set(inside) == set(expected)
    assert "sitenet/pretrained/band-gap/card.json" in inside
    for name, content in inside.items():
        assert content == expected[name].read_bytes()
    networks = [name for name in inside if name.endswith(".pt")]
    assert networks
    assert sum(len(inside[name]) for name in networks) < 5_000_000


def test_its_content_alone_predicts(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/my.cif").write_text(GOOD["a.cif"])
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}

    def python(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        run = subprocess.run(command, cwd=tmp_path / "mine", env=environment, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        return run.stdout

    assert Path(python("-c", "import sitenet; print(sitenet.__file__)").strip()).is_relative_to(tmp_path / "installed")
    id_, formula, prediction, *_ = python("-m", "sitenet", "predict", "my.cif").splitlines()[1].split(",")
    assert (id_, formula) == ("my.cif", "Rb2Te")
    expected = load_model(device="cpu").predict(structure(REAL[0]))["prediction"][0]
    assert float(prediction) == pytest.approx(expected, abs=1e-4)
    assert python("-m", "sitenet", "models").splitlines()[1].startswith("band-gap ")
