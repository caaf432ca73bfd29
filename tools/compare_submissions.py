"""The worked example of docs/statistics.md: official Matbench submissions compared crystal by crystal, as Markdown.

    python tools/compare_submissions.py results/data/matbench_mp_gap/targets.parquet benchmarks/matbench_v0.1_*

The first argument is the table of targets that `load_data` writes, the others are folders of submissions. The first two
submissions are compared in detail. Folds whose targets are withheld cannot be scored and must be left out.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from sitenet.data.matbench_task import official_folds
from sitenet.evaluation.standings import BEST, TIED, WORSE
from sitenet.evaluation.statistics.bootstrap import Bootstrap, Floats, bootstrap_scores
from sitenet.evaluation.statistics.simultaneous import corrected_p_values
from sitenet.evaluation.tables.formats import markdown
from sitenet.evaluation.tables.rounding import measured
from sitenet.models.predictions.files import Wanted, read_predictions

SIZES = (10, 20, 30, 50, 100, 200, 500)
SAMPLES = 500
FEW = 500  # formulas of the small test part

Groups = Mapping[int, Sequence[str]]


def read_errors(targets: Path, submissions: Sequence[Path], task: str, folds: Sequence[int]) -> dict[int, pd.DataFrame]:
    """Absolute errors of each fold's test crystals, one column a submission, by id and group."""
    table = pd.read_parquet(targets).set_index("id")
    frames = {}
    for fold in folds:
        own = table.loc[official_folds(task)[fold][1]]
        columns = {
            path.name.removeprefix("matbench_v0.1_"): read_predictions(
                path / "results.json.gz", Wanted(task, fold, 0, own.index.tolist())
            )["prediction"].to_numpy()
            - own["target"].to_numpy()
            for path in submissions
        }
        frames[fold] = pd.DataFrame(columns, index=[own.index, own["group"]]).abs().dropna()
    return frames


def sampling(frames: Mapping[int, pd.DataFrame]) -> str:
    """How many crystals share a formula."""
    sizes = pd.concat(frames.values()).groupby(level="group").size()
    shared = sizes[sizes > 1].sum() / sizes.sum()
    return (
        f"{sizes.sum():,} test crystals of {len(sizes):,} formulas; {shared:.0%} of the crystals share their formula "
        f"with another one; the most frequent formula is {sizes.idxmax()} with {sizes.max()}."
    )


def pair(frames: Mapping[int, pd.DataFrame], grouped: Bootstrap, single: Bootstrap) -> str:
    """MAE of the first two submissions by fold, and their difference with both kinds of intervals."""
    first, second = next(iter(frames.values())).columns[:2]
    rows = []
    for fold, frame in frames.items():
        one, other = frame[first].mean(), frame[second].mean()
        rows.append([f"fold {fold}", f"{len(frame):,}", f"{one:.4f}", f"{other:.4f}", f"{one - other:+.4f}"])
    for name, found in (("all folds, formulas resampled", grouped), ("all folds, crystals resampled", single)):
        estimates = [measured(*found.score(0)), measured(*found.score(1)), measured(*found.difference(0, 1), sign="+")]
        rows.append([name, f"{sum(map(len, frames.values())):,}", *estimates])
    return markdown(pd.DataFrame(rows, columns=["", "crystals", first, second, "difference"]), text_columns=1)


def widths(names: Sequence[str], grouped: Bootstrap, single: Bootstrap) -> str:
    """How much wider intervals are that keep formulas together."""
    rows = []
    for i, name in enumerate(names):
        (_, low, high), (_, single_low, single_high) = grouped.score(i), single.score(i)
        rows.append([name, *(f"{w:.5f}" for w in (high - low, single_high - single_low))])
        rows[-1].append(f"{(high - low) / (single_high - single_low):.2f}")
    columns = ["submission", "width, formulas", "width, crystals", "ratio"]
    return markdown(pd.DataFrame(rows, columns=columns), text_columns=1)


def ties(names: Sequence[str], found: Bootstrap) -> str:
    """All submissions with their verdicts against the best."""
    scores = found.observed.mean(axis=0)
    p_values, order = corrected_p_values(scores, found.replicates.mean(axis=1)), np.argsort(scores)
    best, rows = order[0], []
    for rank, i in enumerate(order, start=1):
        p_value = p_values[i, best]
        verdict = BEST if i == best else WORSE if p_value <= 0.05 else TIED
        against = ["-", "-"] if i == best else [measured(*found.difference(i, best), sign="+"), f"{p_value:.4f}"]
        rows.append([str(rank), names[i], measured(*found.score(i)), *against, verdict])
    columns = ["rank", "submission", "MAE, 95 % interval", "difference to the best", "corrected p", "verdict"]
    return markdown(pd.DataFrame(rows, columns=columns), text_columns=2)


def subset(frames: Mapping[int, pd.DataFrame], n: int) -> dict[int, pd.DataFrame]:
    """What of each fold belongs to n formulas drawn at random."""
    names = pd.concat(frames.values()).index.get_level_values("group").unique().sort_values()
    drawn = set(np.random.default_rng(0).choice(names, size=n, replace=False))
    return {fold: frame[frame.index.get_level_values("group").isin(drawn)] for fold, frame in frames.items()}


def coverage(frames: Mapping[int, pd.DataFrame]) -> str:
    """How often intervals from few formulas contain the MAE of all: the truth is known, since all formulas are."""
    whole = pd.concat(frames.values())
    by_group = whole.groupby(level="group")
    sums, sizes = by_group.sum().to_numpy(), by_group.size().to_numpy()
    truth, rng, rows = sums.sum(axis=0) / sizes.sum(), np.random.default_rng(0), []
    for n in SIZES:
        inside = np.zeros(len(truth))
        for _ in range(SAMPLES):
            drawn = rng.choice(len(sums), size=n, replace=False)
            weights = rng.standard_exponential((500, n))
            replicates = (weights @ sums[drawn]) / (weights @ sizes[drawn])[:, None]
            low, high = np.quantile(replicates, [0.025, 0.975], axis=0)
            inside += (low <= truth) & (truth <= high)
        rows.append([str(n), *(f"{share:.3f}" for share in inside / SAMPLES)])
    return markdown(pd.DataFrame(rows, columns=["formulas", *whole.columns]), text_columns=0)


def bootstrapped(frames: Mapping[int, pd.DataFrame], level: str, n_resamples: int) -> Bootstrap:
    """Joint bootstrap that keeps together what has one name at this level of the index, id or group."""
    errors: dict[int, Floats] = {fold: frame.to_numpy() for fold, frame in frames.items()}
    groups: Groups = {fold: frame.index.get_level_values(level).tolist() for fold, frame in frames.items()}
    return bootstrap_scores(errors, groups, n_resamples)


def main() -> None:
    """Prints every table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", type=Path)
    parser.add_argument("submissions", type=Path, nargs="+")
    parser.add_argument("--task", default="matbench_mp_gap")
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--resamples", type=int, default=10_000)
    arguments = parser.parse_args()
    frames = read_errors(arguments.targets, arguments.submissions, arguments.task, arguments.folds)
    names, start = next(iter(frames.values())).columns.tolist(), time.monotonic()
    grouped, single = (bootstrapped(frames, level, arguments.resamples) for level in ("group", "id"))
    seconds = time.monotonic() - start
    parts = {
        "Crystals and formulas": sampling(frames),
        f"{names[0]} against {names[1]}": pair(frames, grouped, single),
        "Formulas or crystals": widths(names, grouped, single),
        "Ties": ties(names, grouped),
        f"Ties from {FEW} formulas": ties(names, bootstrapped(subset(frames, FEW), "group", arguments.resamples)),
        "Coverage of 95 % intervals from few formulas": coverage(frames),
    }
    print("\n\n".join(f"## {title}\n\n{text}" for title, text in parts.items()))
    print(f"\nBoth bootstraps took {seconds:.0f} s.")


if __name__ == "__main__":
    main()
