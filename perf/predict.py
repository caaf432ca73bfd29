"""Time and peak memory of `sitenet predict` on many crystals, from a table and from CIF files.

    python perf/predict.py ../shared/data/matbench_mp_gap.parquet --crystals 5000 --out perf/results/predict.json

The table is a crystal table or the compact file of matbench_mp_gap. `--crystals` takes the first ones; without it all
are predicted. Memory is the sum over the processes of what is not shared with others (USS), read five times a second.
Processor seconds are those of all processes, start included; other work on the machine disturbs them less than the
clock.
"""

import argparse
import json
import os
import resource
import sys
import time
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import psutil
import pyarrow.parquet as pq
from features import compact_crystals
from pymatgen.core import Structure
from pymatgen.io.cif import CifWriter

from sitenet.data.table import CrystalTable, bundled_path, write_crystals
from sitenet.environment import hardware


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--crystals", type=int)
    parser.add_argument("--cifs", type=int, default=1000, help="how many of them are predicted from CIF files too")
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        structures, cifs = folder / "structures.parquet", folder / "cifs"
        source = compact_crystals(args.table) if is_compact(args.table) else CrystalTable.open(args.table).crystals()
        write_crystals(structures, islice(source, args.crystals))
        write_cifs(structures, cifs, args.cifs)
        run(
            ["predict", str(bundled_path("mp_dielectric_gap"))], folder / "warm.csv", 1
        )  # kernels are compiled at first use
        runs = [
            {"input": place.name, "cores": cores, **run(["predict", str(place)], folder / "out.csv", cores)}
            for place in (structures, cifs)
            for cores in args.cores
        ]
    result = {"machine": hardware(), "load_before": round(os.getloadavg()[0], 2), "runs": runs}
    print(text := json.dumps(result, indent=2))
    args.out.write_text(text + "\n", encoding="utf-8")


def is_compact(path: Path) -> bool:
    return "frac_e6" in pq.read_schema(path).names


def write_cifs(structures: Path, folder: Path, n: int) -> None:
    folder.mkdir()
    for crystal in CrystalTable.open(structures).crystals(0, n):
        structure = Structure(crystal.lattice, crystal.atomic_numbers.tolist(), crystal.frac_coords)
        (folder / f"{crystal.id}.cif").write_text(str(CifWriter(structure, significant_figures=12)), encoding="utf-8")


def run(arguments: list[str], out: Path, cores: int) -> dict[str, Any]:
    """Runs the command and watches the memory of its processes."""
    command = [sys.executable, "-m", "sitenet", *arguments, "--out", str(out), "--cores", str(cores), "--device", "cpu"]
    before, start, peak = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter(), 0.0
    process = psutil.Popen(command)
    while process.poll() is None:
        peak = max(peak, memory_mb(process))
        time.sleep(0.2)
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    frame = pd.read_csv(out)
    return {
        "crystals": len(frame),
        "unusable": int(frame["reason"].notna().sum()),
        "seconds": round(seconds, 1),
        "crystals_per_second": round(len(frame) / seconds, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime, 1),
        "peak_memory_mb": round(peak),
    }


def memory_mb(process: psutil.Popen) -> float:
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_full_info().uss
        except psutil.Error:  # it has just ended
            continue
    return total / 2**20


if __name__ == "__main__":
    main()
