"""Jobs, seconds a job and hours of a benchmark, from the rates of finished runs, as a Markdown table.

    python tools/grid_costs.py configs/matbench_mp_gap.yaml --crystals 106113 --measured results

Training takes what the finished runs under `results/` took for a crystal and an epoch, validation included, with
the same network and features; featurizing what it took for a crystal. All else is small. Rates for a grid that
nobody has run yet come from a small one, such as perf/paper_rates.yaml.
"""

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isnan, nan
from pathlib import Path
from statistics import median

import yaml

from sitenet.config.benchmark import Benchmark
from sitenet.config.trial import Settings, Trial
from sitenet.data.table import CrystalTable
from sitenet.errors import UserError
from sitenet.records import RunResult
from sitenet.settings.features import FeatureSettings

HEADER = """\
| step | a site sees | crystals a run | jobs | seconds a job, CPU | core-hours | seconds a job, GPU | GPU-hours |
|:--|:--|--:|--:|--:|--:|--:|--:|"""


@dataclass(frozen=True)
class Rate:
    """What a crystal, or a crystal and an epoch, takes; `cores` is the number of cores busy for so long."""

    seconds: float
    cores: int = 1


MISSING = Rate(nan)


def size(features: FeatureSettings) -> str:
    """What a site sees, as text."""
    if features.radius is not None:
        return f"sphere of {features.radius} angstrom"
    return f"up to {features.max_sites} sites" if features.supercell else "primitive cell"


def network(settings: Settings) -> str:
    """What a training's rate depends on: the network and its features."""
    return json.dumps({"model": settings["model"], "features": settings.get("features")}, sort_keys=True)


def training_rates(results: Path, gpu: bool) -> dict[str, Rate]:
    """The median run's time for a crystal and an epoch, by `network`, on GPUs or on CPUs."""
    rates: defaultdict[str, list[Rate]] = defaultdict(list)
    for path in results.glob("runs/*/*/fold*/seed*/result.json"):
        run = RunResult.read(path)
        if run.epochs and run.n_train and gpu == (run.hardware["device"] != "cpu"):
            seconds = run.cost.seconds / (run.epochs * run.n_train)
            rates[network(run.settings)].append(Rate(seconds, int(run.hardware["threads"])))
    return {key: Rate(median(r.seconds for r in each), max(r.cores for r in each)) for key, each in rates.items()}


def featurizing_rates(results: Path) -> dict[str, Rate]:
    """Time for a crystal, by folder name of the feature set."""
    seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
    for path in results.glob("costs/*/featurize/*/shard*.tsv"):
        with path.open(encoding="utf-8") as file:
            row = next(csv.DictReader(file, delimiter="\t"))
        seconds[path.parents[2].name, path.parent.name] += float(row["s"])
    tables = {name: CrystalTable.open(results / "data" / name / "structures.parquet") for name, _ in seconds}
    return {features: Rate(total / len(tables[name])) for (name, features), total in seconds.items()}


def rows(benchmark: Benchmark, n_crystals: int, results: Path) -> Iterator[str]:
    """A line for each feature set, one for each size and number of training crystals, and the sum."""
    featurizing, cpu, gpu = featurizing_rates(results), training_rates(results, False), training_rates(results, True)
    total = Total()
    for features, settings in benchmark.feature_sets.items():
        work = [(n_crystals, featurizing.get(features, MISSING), Rate(0))]
        cells = total.add(benchmark.settings.shards, work)
        yield f"| featurize | {size(settings)} | {n_crystals:,} {cells}"
    groups: defaultdict[tuple[str, int], list[Trial]] = defaultdict(list)
    for trial in benchmark.networks.values():
        groups[size(trial.features), training_crystals(trial, benchmark, n_crystals)].append(trial)
    runs = len(benchmark.folds) * len(benchmark.settings.seeds)
    for (sites, crystals), trials in groups.items():
        rates = [(t.training.max_epochs, rate_of(t, crystals, cpu), rate_of(t, crystals, gpu)) for t in trials]
        work = [(crystals * n * runs, on_cpu, on_gpu) for n, on_cpu, on_gpu in rates]
        yield f"| train | {sites} | {crystals:,} {total.add(len(trials) * runs, work)}"
    yield f"| sum | | | {total.jobs:,} | | {shown(total.core_hours, 1)} | | {shown(total.gpu_hours, 1)} |"


def rate_of(trial: Trial, crystals: int, measured: Mapping[str, Rate]) -> Rate:
    """The trial's measured rate, or what makes a run last `max_minutes`, if that is less."""
    rate = measured.get(network(trial.settings), MISSING)
    if (minutes := trial.training.max_minutes) is None:
        return rate
    return replace(rate, seconds=min(rate.seconds, 60 * minutes / (crystals * trial.training.max_epochs)))


def training_crystals(trial: Trial, benchmark: Benchmark, n_crystals: int) -> int:
    """Crystals that one run learns from."""
    splits = benchmark.settings.splits
    available = round(n_crystals * (1 - test_share(benchmark)))
    available = min(available, splits.max_train or available)
    available = round(available * (1 - splits.validation_share))
    return min(available, trial.training.max_crystals or available)


def test_share(benchmark: Benchmark) -> float:
    """Part of the crystals that a fold tests.

    Raises:
        UserError: Files decide, which are not read here.
    """
    n_folds, splits = len(benchmark.available_folds), benchmark.settings.splits
    if splits.kind == "holdout":
        return splits.test_share
    if n_folds == 1:
        raise UserError(f"splits.kind {splits.kind} with one fold: the number of test crystals is not known beforehand")
    return 1 / n_folds


class Total:
    """What the lines of the table add up to."""

    def __init__(self) -> None:
        self.jobs, self.core_hours, self.gpu_hours = 0, 0.0, 0.0

    def add(self, jobs: int, work: list[tuple[int, Rate, Rate]]) -> str:
        """Adds a line and returns its cells; `work` has crystals and their rates on CPU and GPU."""
        cpu, gpu = (sum(crystals * rates[i].seconds for crystals, *rates in work) for i in (0, 1))
        core_hours = sum(crystals * rate.seconds * rate.cores for crystals, rate, _ in work) / 3600
        self.jobs, self.core_hours, self.gpu_hours = (
            self.jobs + jobs,
            self.core_hours + core_hours,
            self.gpu_hours + gpu / 3600,
        )
        cells = f"{shown(cpu / jobs)} | {shown(core_hours, 1)} | {shown(gpu / jobs)} | {shown(gpu / 3600, 1)}"
        return f"| {jobs:,} | {cells} |"


def shown(value: float, digits: int = 0) -> str:
    """A figure of the table."""
    if isnan(value):
        return "not measured"
    return f"{value:,.{digits}f}" if value else "-"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="the benchmark to benchmark")
    parser.add_argument("--crystals", type=int, required=True, help="crystals of its data set")
    parser.add_argument("--measured", type=Path, required=True, help="folder with finished runs")
    arguments = parser.parse_args()
    benchmark = Benchmark(yaml.safe_load(arguments.config.read_text(encoding="utf-8")))
    print(HEADER, *rows(benchmark, arguments.crystals, arguments.measured), sep="\n")


if __name__ == "__main__":
    main()
