"""Training and validation error by epoch."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sitenet.config.trial import varying_settings
from sitenet.evaluation.figures.style import BLUE, FIGURE_STYLE, ORANGE, log_errors, panel_grid
from sitenet.evaluation.results import Results
from sitenet.evaluation.runs import PlannedRuns, Run
from sitenet.models.registry import is_network

MAX_PANELS = 12


def epoch_curves_figure(results: Results) -> Figure:
    """Error by epoch of every network trial: thin lines are single runs, thick lines their mean.

    The mean ends with the shortest run. At most `MAX_PANELS` trials are shown, those with the lowest mean validation
    error, and the title says so.
    """
    names = _panel_names(results.planned)
    by_trial = {trial: [run for run in results.runs if run.result.key.trial == trial] for trial in names}
    trained = sorted((_validation_error(own), trial) for trial, own in by_trial.items() if own)
    shown = [trial for _, trial in trained[:MAX_PANELS]]
    with mpl.rc_context(FIGURE_STYLE):
        figure, panels = panel_grid(max(len(shown), 1), height=2.5)
        for axes, trial in zip(panels, shown, strict=False):
            _draw_curves(axes, [run.history() for run in by_trial[trial]])
            axes.set_title(names[trial], loc="left")
        figure.supxlabel("epoch", fontsize="medium")
        figure.supylabel(results.task.error.header(results.unit), fontsize="medium")
        if shown:
            figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
        if len(trained) > len(shown):
            first = f"lowest validation {results.task.error.label} first"
            figure.suptitle(f"{len(shown)} of {len(trained)} trials, {first}", x=0, ha="left")
    return figure


def _panel_names(planned: PlannedRuns) -> dict[str, str]:
    """Panel title of each network trial: its kind, its id and the settings that vary between trials."""
    names = {}
    for kind, trials in planned.trials_by_kind().items():
        varying = varying_settings(trials) if is_network(kind) else []
        for trial, settings in trials.items():
            if is_network(kind):
                values = [f"{name.split('.')[-1]} = {settings[name]}" for name in varying]
                names[trial] = "\n".join([f"{kind} {trial}", *values])
    return names


def _validation_error(runs: Sequence[Run]) -> float:
    return float(np.mean([run.result.validation_error for run in runs]))


def _draw_curves(axes: Axes, histories: Sequence[pd.DataFrame]) -> None:
    for label, color, column in (("training", ORANGE, _train_error), ("validation", BLUE, selecting_error)):
        curves = [column(history) for history in histories]
        for curve in curves:
            axes.plot(curve.index, curve, color=color, linewidth=0.6, alpha=0.45)
        mean = pd.concat(curves, axis=1).mean(axis=1, skipna=False)
        axes.plot(mean.index, mean, color=color, linewidth=1.8, label=label)
    log_errors(axes)


def _train_error(history: pd.DataFrame) -> pd.Series:
    return history.set_index("epoch")["train_error"].astype(float)


def selecting_error(history: pd.DataFrame) -> pd.Series:
    """Validation error of the averaged weights, or of the current weights without averaging."""
    rows = history.set_index("epoch")
    return rows["validation_error_ema"].astype(float).fillna(rows["validation_error"].astype(float))
