"""Crystals that cannot be used, through the workflow: listed, counted, and too many of them stop the run."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from pymatgen.core import Composition, Element, Lattice, Structure

from sitenet.data.manifest import Manifest
from tests.real_crystals import crystals
from tests.workflow.running import snakemake

TABLE = "results/data/mine/manifest.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty real crystals as CIF files, and one of each kind that cannot be used."""
    files = tmp_path / "mine"
    files.mkdir()
    for crystal in list(crystals().values())[:20]:
        structure = Structure(
            Lattice(crystal.lattice), [Element.from_Z(int(z)) for z in crystal.atomic_numbers], crystal.frac_coords
        )
        structure.to(str(files / f"{crystal.id}.cif"))
    alloy = Structure(Lattice.cubic(4), [Composition("Na0.5K0.5"), "Cl"], [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
    alloy.to(str(files / "disordered.cif"))
    Structure(Lattice.cubic(9), ["Na"] * 9, [[i / 9, 0, 0] for i in range(9)]).to(str(files / "large.cif"))
    (files / "broken.cif").write_text("this is no crystal")
    rows = [f"{path.name},1.5" for path in sorted(files.glob("*.cif"))]
    rows = [row.replace(",1.5", ",") if row.startswith("mp-441.cif") else row for row in rows]
    (files / "targets.csv").write_text("\n".join(["file,target", *rows, "absent.cif,2.0"]) + "\n")
    return tmp_path


def load(folder: Path, max_failed_share: float) -> tuple[int, str]:
    config = {
        "dataset": {
            "source": "files",
            "name": "mine",
            "path": "mine",
            "target": "gap",
            "unit": "eV",
            "non_negative": True,
            "max_sites": 8,
            "max_failed_share": max_failed_share,
        },
        "splits": {"kind": "kfold", "n_folds": 2},
        "grid": [{"model": {"kind": "dummy"}}],
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    run = snakemake(TABLE, "--configfile", folder / "config.yaml", directory=folder, check=False)
    return run.returncode, run.stderr


def test_each_is_listed_with_its_reason(folder: Path) -> None:
    status, output = load(folder, max_failed_share=0.9)
    assert status == 0, output
    manifest = Manifest.read(folder / TABLE)
    failures = pd.read_csv(folder / "results/data/mine/failures.csv").set_index("id")["reason"]
    for name, reason in {
        "disordered": "disordered",
        "large": "too large: 9 sites",
        "broken": "unreadable",
        "absent": "missing",
        "mp-441": "missing target",
    }.items():
        assert failures[failures.index.str.startswith(name)].str.contains(reason).all(), failures
        assert failures.index.str.startswith(name).any(), failures
    assert manifest.counts.failed == len(failures)
    assert manifest.counts.kept + manifest.counts.failed == manifest.counts.rows


def test_too_many_stop_the_run_with_one_clear_line(folder: Path) -> None:
    status, output = load(folder, max_failed_share=0.01)
    assert status != 0
    assert "data set 'mine': 5 of 24 crystals cannot be used (" in output
    assert "while dataset.max_failed_share is 0.01; see results/data/mine/unusable.csv" in output
    assert "Traceback" not in output
    assert not (folder / TABLE).exists()
