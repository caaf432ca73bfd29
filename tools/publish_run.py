"""Copies what a finished run left behind to a folder that can be committed.

    python tools/publish_run.py results/runs/matbench_mp_gap_cpu/<trial>/fold0/seed0 docs/results/matbench_mp_gap_cpu

`result.json`, `history.jsonl` and `best.pt` are copied as they are; the predictions of the test crystals become
`test_predictions.csv.gz` (id, prediction), rounded to 0.1 meV and without their targets.
"""

import argparse
import gzip
import shutil
from pathlib import Path

import pandas as pd

from sitenet.files import write_bytes


def publish(run: Path, folder: Path) -> None:
    """Copies the files of the finished run in `run` to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("result.json", "history.jsonl", "best.pt"):
        shutil.copyfile(run / name, folder / name)
    predictions = pd.read_parquet(run / "predictions.parquet").sort_values("id")
    table = predictions[["id", "prediction"]].to_csv(index=False, float_format="%.4f")
    # Without a time stamp, so that the same predictions give the same bytes.
    write_bytes(folder / "test_predictions.csv.gz", gzip.compress(table.encode(), mtime=0))


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("folder", type=Path, help="where the copies go")
    arguments = parser.parse_args()
    publish(arguments.run, arguments.folder)


if __name__ == "__main__":
    main()
