"""What searches found with how much training, and which hyperparameters mattered."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sitenet.evaluation.results import Results
from sitenet.evaluation.runs import Run

Floats = NDArray[np.float64]
GRID = "grid"  # in place of a search's id
RESAMPLES = 100
TREES = 32  # of a forest
POINTS, LEVELS = 128, 12  # points of the space that a mean is taken over, and levels of a hyperparameter
MIN_TRIALS = 8  # fewer say nothing about what mattered

PROGRESS = (
    *("search", "kind", "fold", "stage", "trial", "epochs"),
    *("validation_error", "best_so_far", "total_epochs", "seconds", "total_seconds"),
)
IMPORTANCE = ("search", "kind", "setting", "importance", "low", "high", "trials", "diverged")


def search_progress(results: Results) -> pd.DataFrame:
    """One row for each training of a search: a trial of a stage on a fold, in the order in which they were planned.

    The grid's trials of the same kinds follow, as the search `GRID`. Columns are those of `PROGRESS`: the validation
    error so far, the mean over seeds, infinite where a training diverged; the lowest until
    then in the search on this fold; the epochs trained until then, of all trials and seeds; and the training time in
    seconds, of this training and of all until then, summed over seeds. Trainings without a record are left out.
    """
    by_run: dict[tuple[str, int], list[Run]] = {}
    for run in results.runs:
        by_run.setdefault((run.result.key.trial, run.result.key.fold), []).append(run)
    before: dict[tuple[str, str, int], int] = {}
    rows = []
    for training in _trainings(results):
        place = (training.search, training.trial, training.fold)
        runs = by_run.get(place[1:], [])
        earlier = [_state(run, before.get(place, 0)) for run in runs]
        after = [_state(run, training.epochs) for run in runs]
        before[place] = training.epochs
        costs = {
            "validation_error": float(np.mean([state.error for state in after])) if after else math.nan,
            "trained": sum(state.epochs for state in after) - sum(state.epochs for state in earlier),
            "seconds": sum(state.seconds for state in after) - sum(state.seconds for state in earlier),
        }
        rows.append(training._asdict() | costs)
    columns = [*Training._fields, "validation_error", "trained", "seconds"]
    frame = pd.DataFrame(rows, columns=columns).dropna(subset="validation_error")
    frame = frame.astype({"validation_error": float, "trained": int, "seconds": float})
    searches = frame.groupby(["search", "kind", "fold"])
    frame["best_so_far"], frame["total_seconds"] = searches["validation_error"].cummin(), searches["seconds"].cumsum()
    frame["total_epochs"] = searches["trained"].cumsum()
    return frame[[*PROGRESS]].reset_index(drop=True)


class Training(NamedTuple):
    """A trial that a search, or the grid, trains on a fold until some epoch."""

    search: str
    trial: str
    fold: int
    kind: str
    stage: int
    epochs: int


def _trainings(results: Results) -> Iterator[Training]:
    """All trainings of searches, then those of the grid's trials of the same kinds."""
    kinds: dict[str, None] = {}
    for stage in results.stages:
        for trial, settings in stage.trials.items():
            kind = settings["model"]["kind"]
            kinds[kind] = None
            if not stage.is_last:
                yield Training(stage.search, trial, stage.fold, kind, stage.number, stage.epochs_of(trial))
    grid = results.planned.grid.trials_by_kind()
    for kind, fold in itertools.product(kinds, results.planned.folds):
        for trial, flat in grid.get(kind, {}).items():
            yield Training(GRID, trial, fold, kind, 0, flat["training.max_epochs"])


class State(NamedTuple):
    """A run at some epoch: its lowest validation error, infinite if it diverged before, its epochs and its time."""

    error: float
    epochs: int
    seconds: float


def _state(run: Run, epochs: int) -> State:
    history, result = run.history(), run.result
    if epochs == 0:
        return State(math.inf, 0, 0.0)
    if not math.isfinite(result.validation_error) and len(history) < epochs:
        return State(math.inf, len(history), result.cost.seconds)
    rows = history[history["epoch"] <= epochs]
    lowest = rows[["validation_error", "validation_error_ema"]].astype(float).min().min()
    return State(float(lowest), len(rows), float(rows["seconds"].iloc[-1]))


def importances(results: Results, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """How much each hyperparameter mattered in each search: one row each, with the columns of `IMPORTANCE`.

    The importance is the share of the variance of log(validation error) over the space that the hyperparameter explains
    by itself, in a random forest (functional ANOVA; Hutter, Hoos and Leyton-Brown, ICML 2014). The error is the first
    one of each trial, with halving after equally many epochs, relative to the median of its fold. `low` and `high` are
    the 95 % interval of a bootstrap over trials. Trials that diverged on a fold are left out there and counted;
    searches with fewer than `MIN_TRIALS` others have no row.
    """
    rows: list[dict[str, Any]] = []
    progress = search_progress(results)
    for search, frame in progress[progress["search"] != GRID].groupby("search", sort=False):
        first = frame.drop_duplicates(["trial", "fold"]).copy()
        finite = first[np.isfinite(first["validation_error"])].copy()
        if finite["trial"].nunique() < MIN_TRIALS:  # on several folds a trial is still one
            continue
        positive = finite.loc[finite["validation_error"] > 0, "validation_error"]  # an error may be exactly 0
        finite["value"] = np.log(finite["validation_error"].clip(lower=positive.min() if len(positive) else 1.0))
        finite["value"] -= finite.groupby("fold")["value"].transform("median")
        drawn = {trial: v for stage in results.stages if stage.search == search for trial, v in stage.drawn.items()}
        estimates = _importances(finite["trial"].tolist(), drawn, finite["value"].to_numpy(), resamples, seed)
        common = {"search": search, "kind": frame["kind"].iloc[0]}
        diverged = first.loc[~np.isfinite(first["validation_error"]), "trial"].nunique()
        counts = {"trials": finite["trial"].nunique(), "diverged": diverged}
        rows += [common | {"setting": name, **own} | counts for name, own in estimates.items()]
    frame = pd.DataFrame(rows, columns=[*IMPORTANCE])
    return frame.sort_values(["search", "importance"], ascending=[True, False], ignore_index=True)


def _importances(
    trials: Sequence[str], drawn: Mapping[str, Mapping[str, Any]], values: Floats, resamples: int, seed: int
) -> dict[str, dict[str, float]]:
    """Importance of each setting with its interval; a trial is drawn with its values on all folds."""
    columns = {name: _numbers([drawn[trial][name] for trial in trials]) for name in drawn[trials[0]]}
    places = [np.flatnonzero(np.array(trials) == trial) for trial in dict.fromkeys(trials)]
    varying = {name: column for name, column in columns.items() if len(set(column)) > 1}
    rng = np.random.default_rng(seed)
    replicates = []
    for _ in range(resamples):
        chosen = np.concatenate([places[i] for i in rng.integers(0, len(places), len(places))])
        replicates.append(_explained({n: column[chosen] for n, column in varying.items()}, values[chosen], seed))
    whole = _explained(varying, values, seed)
    found = {}
    for name in columns:
        own = [replicate.get(name, 0.0) for replicate in replicates]
        low, high = np.percentile(own, [2.5, 97.5])
        found[name] = {"importance": whole.get(name, 0.0), "low": float(low), "high": float(high)}
    return found


def _numbers(values: Sequence[Any]) -> Floats:
    """Numbers as they are, by their logarithm where they span a factor of ten; other values by their rank in text."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        numbers = np.array(values, dtype=float)
        return np.log(numbers) if numbers.min() > 0 and numbers.max() >= 10 * numbers.min() else numbers
    texts = [repr(value) for value in values]
    return np.array([sorted(set(texts)).index(text) for text in texts], dtype=float)


def _explained(columns: Mapping[str, Floats], values: Floats, seed: int) -> dict[str, float]:
    """First-order Sobol index of each column in a forest, over the product of the columns' distributions.

    The variance of f's mean given the column, divided by the variance of f; zero where nothing varies.
    """
    from sklearn.ensemble import RandomForestRegressor  # slow to import

    points = np.column_stack(list(columns.values())) if columns else np.empty((len(values), 0))
    if not columns or np.ptp(values) == 0:
        return dict.fromkeys(columns, 0.0)
    forest = RandomForestRegressor(TREES, random_state=seed).fit(points, values)
    rng = np.random.default_rng(seed)
    mixed = np.column_stack([rng.choice(column, POINTS) for column in points.T])
    total = float(forest.predict(mixed).var())
    found = {}
    for i, name in enumerate(columns):
        at = np.quantile(points[:, i], (np.arange(LEVELS) + 0.5) / LEVELS, method="nearest")
        given = np.repeat(mixed[None], LEVELS, axis=0)
        given[:, :, i] = at[:, None]
        means = forest.predict(given.reshape(-1, points.shape[1])).reshape(LEVELS, POINTS).mean(axis=1)
        found[name] = min(float(means.var()) / total, 1.0) if total > 0 else 0.0
    return found
