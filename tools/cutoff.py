"""What a cut-off of attention changes, by number of training crystals, for docs/results/cutoff/: a table and a figure.

    python -m tools.cutoff docs/results/cutoff RESULTS [RESULTS ...]

The folders `results/` hold finished runs of `configs/cutoff.yaml` and `configs/cutoff_gpu.yaml`. Every network with a
cut-off is compared with the one that differs in nothing else, over pairs of runs of one fold and seed.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from sitenet.evaluation.figures.style import BLUE, FIGURE_STYLE, GREY, ORANGE, log_errors, save_figure
from sitenet.records import RunResult
from tools.trial_errors import Errors, ends, errors_by_trial, groups_of, mean_error

STYLES = {100: (BLUE, 0.94), 50: (ORANGE, 1.06)}  # colour and place beside the number of crystals, by sites


def effects(results: Path) -> Iterator[dict[str, object]]:
    """A row for every supercell and training set below one folder `results/`, errors in eV."""
    errors, groups = errors_by_trial(results), groups_of(results)
    records = [RunResult.read(path) for path in sorted(results.glob("runs/*/*/fold*/seed*/result.json"))]
    # By sites, limit on the training crystals, and cut-off.
    trials = {_what(record): record for record in records}
    for (sites, limit, cutoff), record in trials.items():
        full = trials.get((sites, limit, None))
        if cutoff is None or full is None:
            continue
        without, cut = errors[full.key.trial], errors[record.key.trial]
        yield {
            "training_crystals": record.n_train,
            "sites": sites,
            "cutoff": cutoff,
            "seeds": len(without.keys() & cut.keys()),
            **_errors("all_pairs_mae", without),
            **_errors("cutoff_mae", cut),
            **ends("difference", mean_error(cut, groups, without)),
            "seed_differences": " ".join(f"{value:.4f}" for value in _by_seed(cut, without)),
        }


def _what(record: RunResult) -> tuple[int, int | None, float | None]:
    settings = record.settings
    return settings["features"]["max_sites"], settings["training"]["max_crystals"], settings["model"]["cutoff"]


def _errors(name: str, errors: Errors) -> dict[str, float]:
    """Mean over runs, and their standard deviation from seed to seed."""
    values = [float(own.mean()) for own in errors.values()]
    return {name: float(np.mean(values)), f"{name}_std": float(np.std(values, ddof=1)) if len(values) > 1 else np.nan}


def _by_seed(cut: Errors, without: Errors) -> list[float]:
    return [float((cut[place] - without[place]).mean()) for place in sorted(cut.keys() & without.keys())]


def figure(table: pd.DataFrame) -> Figure:
    """Left the error with and without the cut-off, right what the cut-off changes; grey points are single seeds."""
    sizes = sorted(table["training_crystals"].unique())
    with rc_context(FIGURE_STYLE):
        drawing = Figure(figsize=(8.5, 3.9), layout="constrained")
        levels, changes = drawing.subplots(1, 2)
        for sites, own in table.sort_values("training_crystals").groupby("sites"):
            _draw_levels(levels, own, int(str(sites)))
            _draw_changes(changes, own, int(str(sites)))
        log_errors(levels)
        levels.set(ylabel="test MAE (eV)")
        changes.axhline(0, color="black", linewidth=0.8)
        changes.set(ylabel="difference with the cut-off (eV), 95 % interval")
        changes.grid(axis="y", color="#E0E0E0", linewidth=0.6)
        for axes in (levels, changes):
            axes.set_xscale("log")
            axes.set_xlim(0.7 * sizes[0], 1.4 * sizes[-1])
            axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xlabel("training crystals")
        handles, labels = levels.get_legend_handles_labels()
        drawing.legend(handles[::-1], labels[::-1], loc="outside upper left", ncols=2)
    return drawing


def _draw_levels(axes: Axes, own: pd.DataFrame, sites: int) -> None:
    color = STYLES[sites][0]
    for column, style, label in (
        ("cutoff_mae", "o--", f"{sites} sites, attention up to 5 angstrom"),
        ("all_pairs_mae", "o-", f"{sites} sites, attention to all pairs"),
    ):
        axes.plot(own["training_crystals"], own[column], style, color=color, markersize=4, linewidth=1.4, label=label)


def _draw_changes(axes: Axes, own: pd.DataFrame, sites: int) -> None:
    color, shift = STYLES[sites]
    for _, row in own.iterrows():
        place, seeds = row["training_crystals"] * shift, [float(value) for value in row["seed_differences"].split()]
        axes.plot([place, place], [row["difference_low"], row["difference_high"]], color=color, linewidth=1.6)
        # A hollow point is of one seed: its interval does not include the variation between trainings.
        filled = color if len(seeds) > 1 else "white"
        axes.plot(place, row["difference"], "o", color=color, markerfacecolor=filled, markersize=5)
        if len(seeds) > 1:
            axes.plot([place] * len(seeds), seeds, ".", color=GREY, markersize=4)


def write(results: Sequence[Path], folder: Path) -> None:
    """Writes `effect.csv` and `effect.png`."""
    table = pd.DataFrame([row for each in results for row in effects(each)])
    table = table.sort_values(["training_crystals", "sites"], ascending=[True, False])
    table.to_csv(folder / "effect.csv", index=False, float_format="%.6f")
    save_figure(figure(table), [folder / "effect.png"])


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the two files go")
    parser.add_argument("results", type=Path, nargs="+", help="folders with finished runs")
    arguments = parser.parse_args()
    write(arguments.results, arguments.folder)


if __name__ == "__main__":
    main()
