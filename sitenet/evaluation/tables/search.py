"""Searches as Markdown: what each found with how much training, and which hyperparameters mattered."""

import json

import numpy as np
import pandas as pd

from sitenet.evaluation.results import Results
from sitenet.evaluation.search import GRID, MIN_TRIALS
from sitenet.evaluation.tables.formats import column, error_digits, fixed, integer, interval, markdown


def search_markdown(progress: pd.DataFrame, mattered: pd.DataFrame, results: Results) -> str:
    """Three tables: results of each search and of the grid, settings of the best trials, and importances."""
    parts = [_found(progress, results), "## The best trials", _best(progress, results)]
    parts += ["## What mattered", _mattered(mattered, results.task.error.label)]
    return "\n\n".join(parts)


def _found(progress: pd.DataFrame, results: Results) -> str:
    rows = []
    for (search, fold), own in progress.groupby(["search", "fold"], sort=False):
        finite = own[np.isfinite(own["validation_error"])]
        counts = own.groupby("stage", sort=False).agg(n=("trial", "size"), epochs=("epochs", "max"))
        lengths = counts.groupby("epochs")["n"].sum()
        rows.append(
            {
                "search": search,
                "kind": own["kind"].iloc[0],
                "fold": fold,
                "trials": own["trial"].nunique(),
                "trainings": ", ".join(f"{n} to epoch {epochs}" for epochs, n in lengths.items()),
                "diverged": own["trial"].nunique() - finite["trial"].nunique(),
                "error": own["best_so_far"].min(),
                "epochs": own["total_epochs"].max(),
                "seconds": own["seconds"].sum(),
            }
        )
    frame = pd.DataFrame(rows)
    if frame.empty:
        return "No training of a search is finished yet."
    shown = frame[["search", "kind", "fold", "trials", "trainings", "diverged"]].copy()
    heading = f"best validation {results.task.error.header(results.unit)}"
    shown[heading] = column(frame, fixed(error_digits(frame["error"])), "error")
    shown["epochs, all trials"] = column(frame, integer, "epochs")
    shown["training time (s)"] = column(frame, fixed(0), "seconds")
    notes = f"`{GRID}` is the trials of the same kind that the grid lists. Times are sums over all trainings and seeds."
    return f"{markdown(shown, text_columns=5)}\n\n{notes}"


def _best(progress: pd.DataFrame, results: Results) -> str:
    drawn = {trial: values for stage in results.stages for trial, values in stage.drawn.items()}
    rows = [
        {"search": stage.search, "fold": stage.fold, "trial": trial, "drawn": json.dumps(drawn[trial])}
        for stage in results.stages
        if stage.is_last
        for trial in stage.trials
    ]
    return markdown(pd.DataFrame(rows), text_columns=4) if rows else "No search is finished yet."


def _mattered(mattered: pd.DataFrame, error: str) -> str:
    if mattered.empty:
        return f"No search has {MIN_TRIALS} trials that did not diverge, so that nothing can be said."
    columns = {
        "search": mattered["search"],
        "setting": mattered["setting"],
        "importance": column(mattered, fixed(2), "importance"),
        "95 % interval": column(mattered, interval(2), "low", "high"),
        "trials": column(mattered, integer, "trials"),
    }
    notes = (
        f"Importance: share of the variance of log(validation {error}) over the space that a hyperparameter explains "
        "by itself, in a random forest (functional ANOVA). The rest is due to hyperparameters together, and to chance. "
        f"The {error} is the first one of each trial; with halving, all have trained equally long then. Intervals: "
        "bootstrap over trials. `tpe` draws where it expects low errors and covers the rest of the space badly: draw "
        "at random to study importance."
    )
    return f"{markdown(pd.DataFrame(columns), text_columns=2)}\n\n{notes}"
