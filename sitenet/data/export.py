"""The crystals and folds of a data set in formats that other programs read."""

import csv
import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from ase import Atoms
from ase.io.extxyz import write_extxyz
from pymatgen.core import Structure

from sitenet.data.manifest import EXPORTED_PARTS, EXPORTED_STRUCTURES
from sitenet.data.table import CrystalTable
from sitenet.files import replacing


def export_structures(structures: Path | str, folder: Path | str) -> None:
    """Writes every crystal of a table, without its target, to `structures.extxyz` and `structures.json.gz`.

    A frame of the former has its id as `atoms.info["id"]`, which ASE reads as a number or a truth value where it looks
    like one. The latter is one JSON object: the id of each crystal with its pymatgen structure as a dictionary.
    """
    table = CrystalTable.open(structures)
    with replacing(Path(folder) / EXPORTED_STRUCTURES[0]) as path, path.open("w", encoding="utf-8") as file:
        for crystal in table.crystals():
            atoms = Atoms(crystal.atomic_numbers, cell=crystal.lattice, scaled_positions=crystal.frac_coords, pbc=True)
            atoms.info["id"] = crystal.id.replace("\\", "\\\\")  # which reading undoes
            write_extxyz(file, [atoms])
    with (
        replacing(Path(folder) / EXPORTED_STRUCTURES[1]) as path,
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,  # the same bytes whenever it is made
    ):
        for number, crystal in enumerate(table.crystals()):
            structure = Structure(crystal.lattice, crystal.atomic_numbers.tolist(), crystal.frac_coords)
            item = f"{json.dumps(crystal.id)}: {json.dumps(structure.as_dict())}"
            packed.write(f"{'{' if number == 0 else ','}\n{item}".encode())
        packed.write(b"\n}\n")


def export_fold(train: Path | str, test_inputs: Path | str, folder: Path | str) -> None:
    """Writes the parts of a fold to `train.csv` and `validation.csv` (id, target) and to `test.csv` (id alone)."""
    table = pd.read_parquet(train)
    for part, name in zip(("train", "validation"), EXPORTED_PARTS, strict=False):
        own = table[table["part"] == part]
        _write(Path(folder) / name, ["id", "target"], own[["id", "target"]].to_numpy().tolist())
    _write(Path(folder) / EXPORTED_PARTS[2], ["id"], pd.read_parquet(test_inputs)[["id"]].to_numpy().tolist())


def _write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Writes a CSV file; numbers have every digit."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
