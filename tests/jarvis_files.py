"""Files of JARVIS-DFT and its leaderboard in their official formats, made of the bundled crystals."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

from pymatgen.core import Element

from sitenet.data.load import load_dataset
from sitenet.data.manifest import Manifest
from sitenet.data.sources.jarvis import JarvisDataset
from sitenet.data.sources.jarvis_file import DATA_FILE
from sitenet.data.table import CrystalTable, bundled_path

TASK, COLUMN = "dft_3d_optb88vdw_bandgap", "optb88vdw_bandgap"
Record = dict[str, Any]


def records(n: int, column: str = COLUMN) -> list[Record]:
    """Records of the first bundled crystals, with 0.5 times their number as target; every other one is Cartesian."""
    crystals = CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals(0, n)
    found = []
    for number, crystal in enumerate(crystals):
        cartesian = number % 2 == 1
        coords = crystal.frac_coords @ crystal.lattice if cartesian else crystal.frac_coords
        atoms = {
            "lattice_mat": crystal.lattice.tolist(),
            "coords": coords.tolist(),
            "elements": [Element.from_Z(z).symbol for z in crystal.atomic_numbers.tolist()],
            "abc": [1.0, 1.0, 1.0],
            "angles": [90.0, 90.0, 90.0],
            "cartesian": cartesian,
            "props": [""] * len(coords),
        }
        found.append({"jid": f"JVASP-{number}", "atoms": atoms, "slme": "na", column: 0.5 * number})
    return found


def splits_of(rows: list[Record], column: str = COLUMN) -> dict[str, dict[str, Any]]:
    """Parts of labelled records in the leaderboard's format: of five, one is validated with and one is tested."""
    targets = {row["jid"]: row[column] for row in rows if row.get(column, "na") != "na"}
    parts = {"train": (0, 2, 3), "val": (1,), "test": (4,)}
    # The leaderboard's files have text in place of numbers, since they were written from a table of text.
    return {
        part: {jid: str(target) for i, (jid, target) in enumerate(targets.items()) if i % 5 in places}
        for part, places in parts.items()
    }


def pack(path: Path, content: Any, member: str | None = None) -> str:
    """Writes the zip archive of a JSON file and returns its checksum."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member or path.name.removesuffix(".zip"), json.dumps(content))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_files(folder: Path, rows: Any, splits: Any = None, task: str = TASK) -> tuple[str, str]:
    """Writes the files of crystals and of splits to a folder and returns their checksums."""
    folder.mkdir(parents=True, exist_ok=True)
    splits = splits_of(rows, task.removeprefix("dft_3d_")) if splits is None else splits
    return pack(folder / DATA_FILE, rows), pack(folder / f"{task}.json.zip", splits)


def settings(**values: Any) -> JarvisDataset:
    """The task of these files, with other values of some keys."""
    return JarvisDataset(source="jarvis", **{"name": TASK, **values})


def load(folder: Path, rows: Any, splits: Any = None, **values: Any) -> Manifest:
    """Writes the files of a task to a folder and loads them into its folder `out`."""
    asked = settings(**values)
    write_files(folder, rows, splits, asked.name)
    return load_dataset(asked, folder / "out", asked.download(folder))
