"""Speed, memory and reduction of the features, against matminer's featurizers on the same crystals.

    python perf/features.py --out features.json
    python perf/features.py --table ../shared/data/matbench_mp_gap.parquet --max-sites 100 --cores 2 \\
        --reference 0 --out matbench.json

`--table` takes a crystal table or the compact file of matbench_mp_gap, with lattice parameters and frac_e6.
"""

import argparse
import json
import multiprocessing
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from matminer.featurizers.site import SiteElementalProperty
from matminer.featurizers.structure import CoulombMatrix
from pymatgen.core import Lattice, Structure

from sitenet.data.crystal import Crystal
from sitenet.data.table import CrystalTable, bundled_path, write_crystals
from sitenet.environment import hardware
from sitenet.features.featurize import featurize
from sitenet.features.pairs import pair_distances
from sitenet.features.primitive import primitive_cell
from sitenet.features.reduction import reduce_pairs
from sitenet.features.shard import collect, featurize_shard
from sitenet.features.store import FeatureStore, write_shard
from sitenet.features.supercell import supercell_matrix, translations
from sitenet.models.sitenet.settings import SiteNetSettings
from sitenet.settings.features import FeatureSettings

MB = 1e6
STAGE_SAMPLE = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=bundled_path("mp_dielectric_gap"))
    parser.add_argument("--max-sites", type=int, nargs="+", default=[50, 100, 500])
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--reference", type=int, default=10, help="crystals that matminer featurizes; 0: none")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with TemporaryDirectory() as folder:
        path = crystal_table(args.table, Path(folder))
        runs = [measure(path, max_sites, args.cores, args.reference) for max_sites in args.max_sites]
    result = {
        "table": args.table.name,
        "machine": hardware(),
        "runs": runs,
    }
    args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def crystal_table(path: Path, folder: Path) -> Path:
    """`path`, or its conversion in `folder` where it is the compact file of matbench_mp_gap."""
    if "frac_e6" not in pq.read_schema(path).names:
        return path
    write_crystals(folder / "table.parquet", compact_crystals(path))
    return folder / "table.parquet"


def compact_crystals(path: Path) -> Iterator[Crystal]:
    for batch in pq.ParquetFile(path).iter_batches(batch_size=4096):
        for row in batch.to_pylist():
            lattice = Lattice.from_parameters(*row["lattice"]).matrix
            atomic_numbers = np.array(row["atomic_numbers"], dtype=np.uint8)
            yield Crystal(str(row["mbid"]), lattice, atomic_numbers, np.reshape(row["frac_e6"], (-1, 3)) / 1e6)


def measure(path: Path, max_sites: int, cores: int, n_reference: int) -> dict[str, Any]:
    settings = FeatureSettings(max_sites=max_sites)
    table = CrystalTable.open(path)
    with TemporaryDirectory() as folder:
        run = {"max_sites": max_sites, **throughput(path, len(table), settings, cores, Path(folder))}
    sample = strided(table, STAGE_SAMPLE)
    run["stages_ms_per_crystal"] = stages(sample, settings)
    if n_reference:
        run["reference"] = reference(strided(table, n_reference), settings)
    return run


def strided(table: CrystalTable, n: int) -> list[Crystal]:
    """About `n` crystals spread evenly over the table."""
    step = max(len(table) // n, 1)
    return [crystal for row, crystal in enumerate(table.crystals()) if row % step == 0][:n]


def throughput(path: Path, n: int, settings: FeatureSettings, cores: int, folder: Path) -> dict[str, Any]:
    """The whole table from disk to shards on disk, one worker a core, processes already started."""
    shards = [folder / f"shard{shard}of{cores}.arrow" for shard in range(cores)]
    with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn")) as pool:
        # Starting Python and loading or compiling the kernels happens once a worker, not once a crystal.
        list(pool.map(warm_up, [settings] * cores))
        start = time.perf_counter()
        jobs = [pool.submit(run_shard, path, settings, shard, cores, out) for shard, out in enumerate(shards)]
        peaks, processor_seconds = zip(*(job.result() for job in jobs), strict=True)
        seconds = time.perf_counter() - start
    start = time.perf_counter()
    manifest = collect(shards, n, 1.0, folder / "failures.csv")
    collected = time.perf_counter()
    store = FeatureStore(shards)
    opened = time.perf_counter()
    unreduced = sum(len(p.site_class) ** 2 * p.n_images for p in (store[i] for i in range(len(store))))
    return {
        "cores": cores,
        "crystals": manifest.crystals,
        "failures": manifest.failures,
        "seconds": round(seconds, 3),
        "processor_seconds": round(sum(processor_seconds), 3),
        "crystals_per_second": round(n / seconds, 1),
        "processor_ms_per_crystal": round(sum(processor_seconds) / n * 1e3, 4),
        "peak_memory_mb_per_process": round(max(peaks) / MB),
        "pairs": manifest.pairs,
        "reduction_factor": round(unreduced / manifest.pairs, 3),
        "store_mb": round(manifest.bytes / MB, 1),
        "collect_seconds": round(collected - start, 3),
        "open_seconds": round(opened - collected, 3),
    }


def warm_up(settings: FeatureSettings) -> None:
    for crystal in CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals(0, 20):
        featurize(crystal, settings)


def run_shard(path: Path, settings: FeatureSettings, shard: int, n_shards: int, out: Path) -> tuple[int, float]:
    """Returns the peak resident memory of this process in bytes and the processor seconds it took."""
    seconds = cpu_seconds(lambda: featurize_shard(CrystalTable.open(path), settings, shard, n_shards, out))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, seconds


def stages(crystals: Sequence[Crystal], settings: FeatureSettings) -> dict[str, float]:
    """Mean processor milliseconds a crystal of each step, in this process."""
    warm_up(settings)
    seconds: dict[str, float] = defaultdict(float)

    def timed(name: str, function: Callable, *args: Any) -> Any:
        start = time.process_time()
        result = function(*args)
        seconds[name] += time.process_time() - start
        return result

    for crystal in crystals:
        cell = timed("primitive_cell", primitive_cell, crystal, settings.cell_tolerance)
        n_sites = len(cell.atomic_numbers)
        matrix = timed("supercell", supercell_matrix, cell.lattice, n_sites, settings.max_sites)
        images = timed("supercell", translations, matrix)
        distances = timed("distances", pair_distances, cell.lattice, cell.frac_coords, matrix, images)
        timed("reduction", reduce_pairs, cell.atomic_numbers, distances, settings.distance_tolerance)
    point_sets = [timed("featurize_in_all", featurize, crystal, settings) for crystal in crystals]
    with TemporaryDirectory() as folder:
        timed("store", write_shard, Path(folder) / "shard.arrow", point_sets)
    return {name: round(total / len(crystals) * 1e3, 4) for name, total in seconds.items()}


def reference(crystals: Sequence[Crystal], settings: FeatureSettings) -> dict[str, Any]:
    """The original method on the same crystals: pymatgen supercells, matminer's featurizers, one process."""
    site_featurizer = SiteElementalProperty(properties=SiteNetSettings().elemental_properties)
    matminer_featurize(crystals[0], FeatureSettings(max_sites=10), site_featurizer)
    theirs = cpu_seconds(lambda: [matminer_featurize(c, settings, site_featurizer) for c in crystals])
    repeats = 10
    ours = cpu_seconds(lambda: [featurize(c, settings) for c in [*crystals] * repeats]) / repeats
    return {
        "crystals": len(crystals),
        "matminer_ms_per_crystal": round(theirs / len(crystals) * 1e3, 1),
        "sitenet_ms_per_crystal": round(ours / len(crystals) * 1e3, 4),
        "speedup": round(theirs / ours),
    }


def cpu_seconds(work: Callable[[], Any]) -> float:
    """Processor time, which other programs on the machine disturb less than the clock."""
    start = time.process_time()
    work()
    return time.process_time() - start


def matminer_featurize(
    crystal: Crystal, settings: FeatureSettings, site_featurizer: SiteElementalProperty
) -> tuple[np.ndarray, list]:
    """The Coulomb matrix and the properties of all supercell sites."""
    structure = Structure(Lattice(crystal.lattice), crystal.atomic_numbers.tolist(), crystal.frac_coords)
    primitive = structure.get_primitive_structure(0.5)
    scaling = supercell_matrix(np.array(primitive.lattice.matrix), len(primitive), settings.max_sites)
    supercell = primitive.make_supercell(scaling, in_place=False)
    coulomb = CoulombMatrix(flatten=False).featurize(supercell)[0]
    return coulomb, [site_featurizer.featurize(supercell, site) for site in range(len(supercell))]


if __name__ == "__main__":
    main()
