"""Time and memory of planning a grid of 10,000 trainings: `python benchmarks/planning.py`, on an idle machine."""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
CONFIG = {
    "name": "ten_thousand",
    "dataset": {"source": "bundled", "name": "mp_dielectric_gap"},
    "splits": {"kind": "kfold", "n_folds": 5},
    "grid": [
        {
            "model": {"kind": "sitenet", "blocks": [1, 2, 3, 4, 5], "heads": list(range(1, 11))},
            "training": {
                "learning_rate": [1e-4, 2e-4, 4e-4, 8e-4],
                "weight_decay": [index * 1e-5 for index in range(10)],
            },
        }
    ],
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(yaml.safe_dump(CONFIG))
        command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "--cores", "1"]
        files = ["--snakefile", ROOT / "Snakefile", "--configfile", config, "--directory", folder]
        start = time.monotonic()
        subprocess.run([str(word) for word in [*command, *files]], check=True, capture_output=True)
        seconds = time.monotonic() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{seconds:.0f} s ({used.ru_utime + used.ru_stime:.0f} s of processor), {used.ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
