"""Error by number of training crystals and by training time, for grids that scan `training.max_crystals`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from matplotlib.typing import LineStyleType

from sitenet.config.trial import short, varying_settings
from sitenet.evaluation.ablation import SIZE, plain
from sitenet.evaluation.figures.epoch_curves import selecting_error
from sitenet.evaluation.figures.style import BLUE, FIGURE_STYLE, GREY, ORANGE, log_errors, number_logs
from sitenet.evaluation.results import Results
from sitenet.evaluation.runs import PlannedRuns, Run
from sitenet.models.registry import is_network

# What a grid may fit to the number of training crystals.
FITTED = ("training.max_epochs", "training.max_minutes", "training.patience", "training.batch_pairs")
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito's palette
STYLES: tuple[LineStyleType, ...] = ("-", "--", ":", "-.")  # most training crystals first
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """Trials of one network that differ only in the number of training crystals, training time and batches.

    Attributes:
        name: Model kind, and the settings that distinguish the family from others of the kind.
        trials: Largest number of training crystals of each trial, by id; None is all crystals.
    """

    name: str
    trials: dict[str, int | None]


def trial_families(planned: PlannedRuns) -> list[Family]:
    """Families of the planned network trials; one with two trials of the same size is split by time and batches."""
    families = []
    for kind, trials in planned.trials_by_kind().items():
        if is_network(kind):
            groups = [own for loose in _grouped(trials, (SIZE, *FITTED)) for own in _one_for_each_size(loose)]
            first = {str(i): next(iter(group.values())) for i, group in enumerate(groups)}
            fitted = {name for group in groups for name in varying_settings(group)}
            varying = [name for name in varying_settings(first) if name not in fitted | {SIZE}]
            for group, settings in zip(groups, first.values(), strict=True):
                name = ", ".join([kind, *(f"{short(name)} = {plain(settings[name])}" for name in varying)])
                families.append(Family(name, {trial: own[SIZE] for trial, own in group.items()}))
    return families


def _grouped(trials: Mapping[str, Settings], but: Sequence[str]) -> list[dict[str, Settings]]:
    """Groups of trials that have the same settings, except for those in `but`."""
    groups: dict[str, dict[str, Settings]] = {}
    for trial, settings in trials.items():
        rest = json.dumps({name: value for name, value in settings.items() if name not in but})
        groups.setdefault(rest, {})[trial] = settings
    return list(groups.values())


def _one_for_each_size(group: dict[str, Settings]) -> list[dict[str, Settings]]:
    sizes = {settings[SIZE] for settings in group.values()}
    return [group] if len(sizes) == len(group) else _grouped(group, [SIZE])


def training_size_figure(results: Results) -> Figure:
    """Left the error by number of training crystals, right the validation error by training time.

    Each family has its colour. On the left, points are single runs, and lines join the means over folds of the means
    over seeds. They show the test error, or the validation error if no run was scored. On the right, line styles
    distinguish the sizes. Thin lines are single runs, thick lines their mean at the same epoch, up to the end of the
    shortest run. At most as many families as colours are shown, those with the lowest validation error, and the title
    says so.
    """
    planned = results.planned.grid
    by_trial: dict[str, list[Run]] = {trial: [] for trial in planned.trials}
    for run in results.runs:
        by_trial.get(run.result.key.trial, []).append(run)
    trained = [family for family in trial_families(planned) if any(by_trial[trial] for trial in family.trials)]
    shown = sorted(trained, key=lambda family: _lowest(family, by_trial))[: len(COLOURS)]
    with mpl.rc_context(FIGURE_STYLE):
        figure = Figure(figsize=(8.5, 3.8 + 0.2 * len(shown)), layout="constrained")
        by_size, by_time = figure.subplots(1, 2)
        _draw_sizes(by_size, shown, by_trial, results)
        _draw_times(by_time, shown, by_trial, results)
        _add_legend(figure, shown)
        if len(trained) > len(shown):
            first = f"lowest validation {results.task.error.label} first"
            figure.suptitle(f"{len(shown)} of {len(trained)} networks, {first}", x=0, ha="left")
    return figure


def _lowest(family: Family, runs: Mapping[str, list[Run]]) -> float:
    errors = [[run.result.validation_error for run in runs[trial]] for trial in family.trials]
    return min(float(np.mean(own)) for own in errors if own)


def _draw_sizes(axes: Axes, families: Sequence[Family], runs: Mapping[str, list[Run]], results: Results) -> None:
    own = [run for family in families for trial in family.trials for run in runs[trial]]
    scored = any(run.is_scored for run in own)
    for color, family in zip(COLOURS, families, strict=False):
        points = pd.DataFrame([_point(run, scored) for trial in family.trials for run in runs[trial]]).dropna()
        axes.plot(points["crystals"], points["error"], ".", color=color, markersize=4, alpha=0.5)
        means = points.groupby(["trial", "fold"]).mean(numeric_only=True).groupby("trial").mean()
        means = means.sort_values("crystals")
        axes.plot(means["crystals"], means["error"], "o-", color=color, markersize=5, linewidth=1.6)
    log_errors(axes)
    axes.set_xscale("log")
    sizes = _sizes(families, runs)
    axes.set_xticks(list(sizes.values()), [f"{size:,.0f}" for size in sizes.values()])
    axes.xaxis.set_minor_locator(NullLocator())
    label = results.task.error.header(results.unit)
    axes.set(xlabel="training crystals", ylabel=f"{'test' if scored else 'validation'} {label}")


def _point(run: Run, scored: bool) -> dict[str, object]:
    result = run.result
    error = result.validation_error
    if scored:
        error = run.metrics()[run.task.error.key] if run.is_scored else np.nan
    return {"trial": result.key.trial, "fold": result.key.fold, "crystals": result.n_train, "error": error}


def _sizes(families: Sequence[Family], runs: Mapping[str, list[Run]]) -> dict[int | None, float]:
    """Mean number of training crystals for each limit, largest first."""
    found: dict[int | None, list[int]] = {}
    for family in families:
        for trial, limit in family.trials.items():
            sizes = [run.result.n_train for run in runs[trial]]
            found.setdefault(limit, []).extend(n for n in sizes if n is not None)
    means = {limit: float(np.mean(known)) for limit, known in found.items() if known}
    return dict(sorted(means.items(), key=lambda item: -item[1]))


def _draw_times(axes: Axes, families: Sequence[Family], runs: Mapping[str, list[Run]], results: Results) -> None:
    styles = _styles(families)
    for color, family in zip(COLOURS, families, strict=False):
        for trial, limit in family.trials.items():
            curves = [_minutes_and_error(run) for run in runs[trial]]
            for curve in curves:
                axes.plot(curve["minutes"], curve["error"], color=color, linewidth=0.6, alpha=0.3)
            if curves:
                mean = sum(curves[1:], curves[0]) / len(curves)  # NaN after the end of the shortest run
                axes.plot(mean["minutes"], mean["error"], linestyle=styles[limit], color=color, linewidth=1.6)
    log_errors(axes)
    axes.set_xscale("log")
    number_logs(axes.xaxis)
    axes.set(xlabel="training time (minutes)", ylabel=f"validation {results.task.error.header(results.unit)}")


def _minutes_and_error(run: Run) -> pd.DataFrame:
    """Time since the run began and validation error, by epoch."""
    history = run.history()
    minutes = history.set_index("epoch")["seconds"] / 60
    return pd.DataFrame({"minutes": minutes, "error": selecting_error(history)})


def _styles(families: Sequence[Family]) -> dict[int | None, LineStyleType]:
    """Line style of each number of training crystals, largest first."""
    limits = {limit for family in families for limit in family.trials.values()}
    ordered = sorted(limits, key=lambda limit: -(limit or np.inf))
    return {limit: STYLES[min(i, len(STYLES) - 1)] for i, limit in enumerate(ordered)}


def _add_legend(figure: Figure, families: Sequence[Family]) -> None:
    names = [Line2D([], [], color=c, marker="o", label=f.name) for c, f in zip(COLOURS, families, strict=False)]
    styles = [
        Line2D([], [], color=GREY, linestyle=style, label=f"{limit:,} crystals" if limit else "all crystals")
        for limit, style in _styles(families).items()
    ]
    if families:
        figure.legend(handles=names, loc="outside upper left", ncols=2 if len(names) < 3 else 1)
        figure.legend(handles=styles, loc="outside upper right", ncols=3)
