"""Writes the crystals, band gaps and refractive indices of sitenet/data/bundled/ from matminer 0.3.9's CSV.

pip download --no-deps --no-binary :all: matminer==0.3.9 && tar xzf matminer-0.3.9.tar.gz
python tools/bundle_dielectric.py matminer-0.3.9/matminer/datasets/dielectric_constant.csv
"""

import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pymatgen.io.vasp import Poscar

from sitenet.data.crystal import Crystal
from sitenet.data.table import bundled_path, crystal_columns


def read_crystal(material_id: str, poscar: str) -> Crystal:
    """The crystal of one POSCAR text, sites in its order."""
    structure = Poscar.from_str(poscar).structure
    return Crystal(material_id, structure.lattice.matrix, np.array(structure.atomic_numbers), structure.frac_coords)


def write(name: str, columns: dict[str, pa.Array]) -> None:
    """Writes a table of the bundled folder."""
    path = bundled_path(name)
    pq.write_table(pa.table(columns), path, compression="zstd", compression_level=19)
    print(f"{path}: {len(columns['id'])} crystals, {path.stat().st_size:,} bytes")


def main(csv: str) -> None:
    """Converts the CSV and checks what came out against the published counts."""
    frame = pd.read_csv(csv, comment="#")
    assert len(frame) == 1056
    assert frame.material_id.is_unique
    assert abs(frame.band_gap.mean() - 2.12) < 0.005
    columns = crystal_columns(list(map(read_crystal, frame.material_id, frame.poscar)))
    columns["band_gap"] = pa.array(frame.band_gap, pa.float64())
    write("mp_dielectric_gap", columns)
    assert abs(frame.n.mean() - 2.43) < 0.005
    write("mp_dielectric_index", {"id": columns["id"], "refractive_index": pa.array(frame.n, pa.float64())})


if __name__ == "__main__":
    main(sys.argv[1])
