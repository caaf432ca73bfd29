"""The error of networks that do not see beyond a distance."""

from dataclasses import replace

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from sitenet.evaluation.attention.analysis import AttentionAnalysis
from sitenet.evaluation.figures.style import BLUE, FIGURE_STYLE, GREY, ORANGE, log_errors

COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", GREY)
MAX_TRIALS = len(COLOURS)


def attention_cutoff_figure(analysis: AttentionAnalysis) -> Figure:
    """Error, or the change of predictions where no targets are known, by cut-off; right, the weights within it."""
    table, score = analysis.cutoffs, analysis.results.task.crystal_error
    trials = list(analysis.runs)[:MAX_TRIALS]
    with mpl.rc_context(FIGURE_STYLE):
        figure = Figure(figsize=(8.5, 3.6), layout="constrained")
        errors, attention = figure.subplots(1, 2, sharex=True)
        scored = bool(len(table)) and bool(table[score.key].notna().any())
        for trial, color in zip(trials, COLOURS, strict=False):
            own = table[table["trial"] == trial]
            whole, cut = own[np.isinf(own["cutoff"])].iloc[0], own[np.isfinite(own["cutoff"])]
            value = cut[score.key if scored else "change"].to_numpy()
            low, high = (whole[score.key] + cut[f"difference_{end}"].to_numpy() for end in ("low", "high"))
            errors.plot(
                cut["cutoff"], value, "o-", color=color, markersize=3, linewidth=1.4, label=analysis.names[trial]
            )
            if scored:
                errors.fill_between(cut["cutoff"], low, high, color=color, alpha=0.2, linewidth=0)
                errors.axhline(whole[score.key], color=color, linestyle=":", linewidth=1)
            attention.plot(cut["cutoff"], cut["attention"], "o-", color=color, markersize=3, linewidth=1.4)
        label = replace(score, label=f"test {score.label}" if scored else "change of predictions")
        errors.set(xlabel="cut-off (angstrom)", ylabel=label.header(analysis.results.unit))
        attention.set(xlabel="cut-off (angstrom)", ylabel="attention within the cut-off", ylim=(0, 1.02))
        if scored:
            log_errors(errors)
        if trials:
            figure.legend(loc="outside upper left", ncols=2)
        if len(analysis.runs) > MAX_TRIALS:
            attention.set_title(f"the first {MAX_TRIALS} of {len(analysis.runs)} trials", loc="left")
    return figure
