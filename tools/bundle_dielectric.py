"""Writes sitenet/data/bundled/mp_dielectric_gap.parquet from matminer 0.3.9's dielectric_constant.csv.

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


def main(csv: str) -> None:
    """Converts the CSV and checks what came out against the published counts."""
    frame = pd.read_csv(csv, comment="#")
    assert len(frame) == 1056
    assert frame.material_id.is_unique
    assert abs(frame.band_gap.mean() - 2.12) < 0.005
    columns = crystal_columns(list(map(read_crystal, frame.material_id, frame.poscar)))
    columns["band_gap"] = pa.array(frame.band_gap, pa.float64())
    path = bundled_path("mp_dielectric_gap")
    pq.write_table(pa.table(columns), path, compression="zstd", compression_level=19)
    print(f"{path}: {len(frame)} crystals, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
