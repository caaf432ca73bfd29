"""A user's own files made of bundled crystals, in every format and packing, for tests of what reads them."""

import csv
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Structure
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Poscar

from sitenet.data.crystal import Crystal
from sitenet.data.load import load_dataset
from sitenet.data.manifest import Manifest
from sitenet.data.sources.files import FilesDataset
from sitenet.data.table import CrystalTable, bundled_path

REAL = list(CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals(0, 6))


def structure(crystal: Crystal) -> Structure:
    return Structure(crystal.lattice, crystal.atomic_numbers.tolist(), crystal.frac_coords)


def extxyz(crystal: Crystal) -> str:
    sites = structure(crystal)
    lattice = " ".join(map(repr, crystal.lattice.ravel().tolist()))
    rows = [f"{site.specie.symbol} {site.x:.12f} {site.y:.12f} {site.z:.12f} 0.0 0.0 0.0" for site in sites]
    comment = f'Lattice="{lattice}" Properties=species:S:1:pos:R:3:forces:R:3 energy=-1.5 pbc="T T T"'
    return "\n".join([str(len(rows)), comment, *rows]) + "\n"


FORMATS: dict[str, Callable[[Crystal], str]] = {
    "a.cif": lambda crystal: str(CifWriter(structure(crystal), significant_figures=12)),
    "POSCAR_b": lambda crystal: Poscar(structure(crystal)).get_str(significant_figures=16),
    "c.vasp": lambda crystal: Poscar(structure(crystal)).get_str(significant_figures=16),
    "d.extxyz": extxyz,
    "sub/e.xyz": extxyz,
    "f.json": lambda crystal: json.dumps(structure(crystal).as_dict()),
}
GOOD = {name: write(crystal) for (name, write), crystal in zip(FORMATS.items(), REAL, strict=True)}


def table_of(rows: list[list[Any]], header: tuple[str, ...] = ("file", "target")) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue()


def as_folder(path: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def as_zip(path: Path, files: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path.with_suffix(".zip")


def load(path: Path, out: Path, **values: Any) -> Manifest:
    defaults: dict[str, Any] = {
        "source": "files",
        "name": "mine",
        "target": "hardness",
        "unit": "GPa",
        "max_failed_share": 0.95,
    }
    return load_dataset(FilesDataset(**defaults | {"path": str(path)} | values), out)


def reasons(out: Path) -> dict[str, str]:
    with (out / "failures.csv").open(newline="") as file:
        return {row["id"]: row["reason"] for row in csv.DictReader(file)}


def sorted_distances(crystal: Crystal) -> np.ndarray:
    return np.sort(structure(crystal).distance_matrix.ravel())
