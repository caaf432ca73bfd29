"""The table of docs/fine_tuning.md: error with and without another training before, as CSV and Markdown.

    python -m tools.fine_tuning RESULTS docs/results/fine_tuning

The folder `results/` holds the finished runs of `configs/fine_tuning.yaml`.
"""

import argparse
from pathlib import Path

import pandas as pd
import yaml

from sitenet.config.benchmark import Benchmark
from sitenet.config.trial import Trial
from sitenet.evaluation.tables.formats import column, integer, markdown
from sitenet.evaluation.tables.rounding import measured
from tools.trial_errors import ends, errors_by_trial, groups_of, mean_error

CONFIG = Path(__file__).parents[1] / "configs" / "fine_tuning.yaml"


def begins(trial: Trial) -> str:
    """How a training begins and what it changes, in words."""
    training = trial.training
    if training.start_from is None:
        return "random weights"
    return f"{training.start_from}, " + ("whole network" if training.trained == "all" else "read-out alone")


def fine_tuning_table(results: Path) -> pd.DataFrame:
    """One row a trial that ran; networks are compared with random weights and as many labels."""
    benchmark = Benchmark(yaml.safe_load(CONFIG.read_text("utf-8")))
    errors, groups = errors_by_trial(results), groups_of(results)
    rows = []
    for id_, trial in benchmark.trials.items():
        if id_ not in errors:
            continue
        row: dict[str, object] = {"labels": "all", "model": trial.kind, "trial": id_, "begins": ""}
        row |= ends("test_mae", mean_error(errors[id_], groups)) | {"seeds": len(errors[id_])}
        if trial.is_network:
            row |= {"labels": trial.training.max_crystals, "begins": begins(trial)}
            reference = next(
                other
                for other, own in benchmark.networks.items()
                if own.training.start_from is None and own.training.max_crystals == trial.training.max_crystals
            )
            if reference != id_:
                row |= ends("difference", mean_error(errors[id_], groups, errors[reference]))
        rows.append(row)
    return pd.DataFrame(rows)


def as_markdown(table: pd.DataFrame) -> str:
    """The table for the page, rounded by uncertainty."""
    shown = table[["labels", "model", "begins"]].copy()
    shown["seeds"] = column(table, integer, "seeds")
    for name, sign in (("test_mae", ""), ("difference", "+")):
        values = zip(*(table[each] for each in (name, f"{name}_low", f"{name}_high")), strict=True)
        shown[name] = [measured(value, low, high, sign) for value, low, high in values]
    return markdown(shown.rename(columns={"test_mae": "test MAE"}), text_columns=3)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder results/ of the benchmark")
    parser.add_argument("folder", type=Path, help="where the table goes")
    arguments = parser.parse_args()
    table = fine_tuning_table(arguments.results)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(arguments.folder / "fine_tuning.csv", index=False, float_format="%.6g")
    print(as_markdown(table))


if __name__ == "__main__":
    main()
