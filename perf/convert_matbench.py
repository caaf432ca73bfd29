"""Time and memory of converting an official Matbench file to a crystal table, and of writing its folds.

python perf/convert_matbench.py matbench_mp_gap downloads/matbench_mp_gap.json.gz
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

from sitenet.data.load import load_dataset
from sitenet.data.manifest import Download
from sitenet.data.sources.matbench import MATBENCH_TARGETS, MatbenchDataset
from sitenet.data.splits.write import write_splits
from sitenet.files import sha256_of
from sitenet.settings.splits import OfficialSplits


def report(what: str, start: float) -> None:
    """Prints the seconds since `start` and the process's peak memory so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what}: {time.monotonic() - start:.1f} s, peak memory {peak:.0f} MB")


def main() -> None:
    """Converts once and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=MATBENCH_TARGETS)
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    settings = MatbenchDataset(source="matbench", name=arguments.task)
    download = Download(path=str(arguments.file), sha256=sha256_of(arguments.file))
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        counts = load_dataset(settings, folder, download).counts
        report(f"{counts.kept:,} of {counts.rows:,} crystals converted", start)
        start = time.monotonic()
        write_splits(OfficialSplits(kind="official"), settings, folder)
        report("official folds written", start)


if __name__ == "__main__":
    main()
