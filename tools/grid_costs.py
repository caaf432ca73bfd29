"""Jobs, seconds a job and hours of a benchmark, from the rates of finished runs, as a Markdown table.

    python tools/grid_costs.py configs/matbench_mp_gap.yaml --crystals 106113 --measured results

Training takes what the finished runs under `results/` took for a crystal and an epoch, validation included, with
supercells of the same size on the same device; featurizing what it took for a crystal. All else is small.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import yaml

from sitenet.config.benchmark import Benchmark
from sitenet.config.training import TrainingSettings
from sitenet.config.trial import Trial
from sitenet.data.table import CrystalTable
from sitenet.records import RunResult

HEADER = "| step | supercell | device | jobs | seconds a job | core-hours | GPU-hours |\n|---|---|---|---|---|---|---|"
Rates = dict[tuple[str, str], float]


def supercell(settings: dict) -> str:
    """Size of a feature set as text, from settings with dotted names."""
    return f"up to {settings['features.max_sites']} sites" if settings["features.supercell"] else "none"


def training_rates(results: Path) -> Rates:
    """Seconds for a crystal and an epoch, by supercell and device; the median over runs."""
    seconds: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for path in results.glob("runs/*/*/fold*/seed*/result.json"):
        run = RunResult.read(path)
        if run.epochs:
            key = (supercell(run.settings), str(run.hardware["device"]))
            seconds[key].append(run.cost.seconds / (run.epochs * run.n_train))
    return {key: median(values) for key, values in seconds.items()}


def featurizing_rates(results: Path) -> Rates:
    """Processor seconds for a crystal, by folder name of the feature set."""
    seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
    for path in results.glob("benchmarks/*/featurize/*/shard*.tsv"):
        with path.open() as file:
            row = next(csv.DictReader(file, delimiter="\t"))
        seconds[path.parents[2].name, path.parent.name] += float(row["s"])
    rates = {}
    for (name, features), total in seconds.items():
        rates[features, "cpu"] = total / len(CrystalTable.open(results / "data" / name / "structures.parquet"))
    return rates


def rows(plan: Benchmark, n_crystals: int, results: Path) -> Iterator[str]:
    """One line of the table for each feature set, then for each supercell and device with a measured rate."""
    featurizing = featurizing_rates(results)
    for features in plan.feature_sets:
        seconds = featurizing.get((features, "cpu"))
        yield row("featurize", features, "cpu", plan.settings.shards, seconds and seconds * n_crystals)
    groups: defaultdict[str, list[Trial]] = defaultdict(list)
    for trial in plan.networks.values():
        groups[supercell(trial.settings)].append(trial)
    runs = len(plan.folds) * len(plan.settings.seeds)
    measured = training_rates(results)
    for size, trials in groups.items():
        work = sum(crystal_epochs(trial, plan, n_crystals) for trial in trials) * runs
        devices = [device for known, device in measured if known == size]
        for device in devices or ["not measured"]:
            rate = measured.get((size, device))
            yield row("train", size, device, len(trials) * runs, rate and rate * work)


def crystal_epochs(trial: Trial, plan: Benchmark, n_crystals: int) -> float:
    """Training crystals times epochs of one run, if it is not stopped early."""
    settings = trial.sections["training"]
    assert isinstance(settings, TrainingSettings)
    splits = plan.settings.splits
    available = n_crystals * (1 - 1 / splits.n_folds) * (1 - splits.validation_share)
    return settings.max_epochs * min(available, settings.max_crystals or available)


def row(step: str, size: str, device: str, jobs: int, seconds: float | None) -> str:
    """One line of the table; a dash where no rate was measured."""
    if seconds is None:
        return f"| {step} | {size} | {device} | {jobs:,} | - | - | - |"
    hours = seconds / 3600
    gpu_hours = f"{hours:,.1f}" if device != "cpu" else "-"
    return f"| {step} | {size} | {device} | {jobs:,} | {seconds / jobs:,.0f} | {hours:,.1f} | {gpu_hours} |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="the benchmark to plan")
    parser.add_argument("--crystals", type=int, required=True, help="crystals of its data set")
    parser.add_argument("--measured", type=Path, required=True, help="folder with finished runs")
    arguments = parser.parse_args()
    plan = Benchmark(yaml.safe_load(arguments.config.read_text()))
    print(HEADER, *rows(plan, arguments.crystals, arguments.measured), sep="\n")


if __name__ == "__main__":
    main()
