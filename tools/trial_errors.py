"""Errors of the finished runs of every trial, and their differences with intervals, for published tables."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from sitenet.evaluation.runs import Run
from sitenet.evaluation.statistics.bootstrap import Estimate
from sitenet.evaluation.statistics.paired import paired_difference

Errors = Mapping[tuple[int, int], pd.Series]  # absolute errors by crystal, for each fold and seed


def errors_by_trial(results: Path) -> dict[str, dict[tuple[int, int], pd.Series]]:
    """Absolute errors of every finished run below a folder `results/`, by trial."""
    found: dict[str, dict[tuple[int, int], pd.Series]] = {}
    for path in sorted(results.glob("runs/*/*/fold*/seed*/result.json")):
        run = Run.read(path)
        key = run.result.key
        found.setdefault(key.trial, {})[key.fold, key.seed] = run.crystal_errors()
    return found


def groups_of(results: Path) -> dict[str, str]:
    """Id of each crystal -> its group, from the one data set below a folder `results/`."""
    (path,) = results.glob("data/*/targets.parquet")
    table = pd.read_parquet(path)
    return dict(zip(table["id"], table["group"], strict=True))


def mean_error(errors: Errors, groups: Mapping[str, str], reference: Errors | None = None) -> Estimate:
    """MAE with its 95 % interval over seeds and test crystals, or with a reference the difference to its MAE.

    A difference is over the pairs of runs of the same fold and seed.
    """
    both = [place for place in errors if reference is None or place in reference]
    own = {place: errors[place] - (0 if reference is None else reference[place]) for place in both}
    folds = {fold: pd.DataFrame({seed: error for (k, seed), error in own.items() if k == fold}) for fold, _ in own}
    assert not any(frame.isna().any(axis=None) for frame in folds.values()), "runs differ in their test crystals"
    names = {fold: [groups[id_] for id_ in frame.index] for fold, frame in folds.items()}
    return paired_difference({fold: frame.to_numpy().T for fold, frame in folds.items()}, names)


def ends(name: str, value: Estimate) -> dict[str, float]:
    """A value with its interval, as columns."""
    return {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
