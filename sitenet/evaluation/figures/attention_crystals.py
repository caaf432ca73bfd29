"""What the reach of attention in a crystal goes with."""

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from sitenet.evaluation.attention.analysis import DESCRIPTORS, AttentionAnalysis
from sitenet.evaluation.figures.attention_cutoff import COLOURS, MAX_TRIALS
from sitenet.evaluation.figures.style import FIGURE_STYLE


def attention_crystals_figure(analysis: AttentionAnalysis) -> Figure:
    """Rank correlations of the long-range coefficient of crystals with descriptors, with 95 % intervals."""
    table = analysis.correlations
    trials = list(table["trial"].unique())[:MAX_TRIALS] if len(table) else []
    with mpl.rc_context(FIGURE_STYLE):
        figure = Figure(figsize=(6.5, 1.2 + 0.4 * len(DESCRIPTORS)), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(DESCRIPTORS))[::-1]
        for number, (trial, color) in enumerate(zip(trials, COLOURS, strict=False)):
            own = table[table["trial"] == trial].set_index("descriptor").loc[list(DESCRIPTORS)]
            y = places + 0.3 * (0.5 - (number + 0.5) / len(trials))
            axes.hlines(y, own["low"], own["high"], color=color, linewidth=1.4)
            axes.plot(own["correlation"], y, "o", color=color, markersize=4, label=analysis.names[str(trial)])
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_yticks(places, list(DESCRIPTORS.values()))
        axes.set(xlim=(-1, 1), xlabel="rank correlation with the long-range coefficient")
        if trials:
            figure.legend(loc="outside upper left", ncols=2)
    return figure
