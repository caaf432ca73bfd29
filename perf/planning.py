"""Time and memory of planning a grid of 10,000 trainings, and of parsing the workflow alone, on an idle machine.

    python perf/planning.py --out perf/results/planning.json

Planning is a dry run. Parsing is what every job on a cluster does again; Snakemake's own start is in both.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from sitenet.environment import hardware

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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
        result = {
            "machine": hardware(),
            "load_before": round(os.getloadavg()[0], 2),
            "plan": measure(config, "--dry-run", "--quiet", "rules"),
            "parse": measure(config, "--list-rules"),
        }
    print(text := json.dumps(result, indent=2))
    arguments.out.write_text(text + "\n", encoding="utf-8")


def measure(config: Path, *arguments: str) -> dict[str, Any]:
    """Seconds and peak memory of one `snakemake`, and the jobs that it counts, if it does."""
    command = [sys.executable, "-m", "snakemake", *arguments, "--cores", "1", "--snakefile", str(ROOT / "Snakefile")]
    files = ["--configfile", str(config), "--directory", str(config.parent)]
    with tempfile.TemporaryFile("w+") as output:
        start = time.monotonic()
        process = subprocess.Popen([*command, *files], stdout=output, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        output.seek(0)
        text = output.read()
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise RuntimeError(text)
    jobs = {rule: int(count) for rule, count in re.findall(r"^(train|total) +(\d+)$", text, flags=re.MULTILINE)}
    return {
        "seconds": round(seconds, 2),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 2),
        "peak_memory_mb": round(used.ru_maxrss / 1024),
    } | ({"jobs": jobs} if jobs else {})


if __name__ == "__main__":
    main()
