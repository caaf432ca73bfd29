"""How far, and to how many sites, each head attends."""

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from sitenet.evaluation.attention.analysis import AttentionAnalysis
from sitenet.evaluation.figures.attention_cutoff import COLOURS
from sitenet.evaluation.figures.style import FIGURE_STYLE, GREY, number_logs, panel_grid

MAX_TRIALS = 9


def attention_heads_figure(analysis: AttentionAnalysis) -> Figure:
    """Mean distance and number of attended sites of each head of a trial's first run; the cross has equal weights."""
    table = analysis.heads
    trials = [trial for trial in analysis.runs if len(table) and trial in set(table["trial"])][:MAX_TRIALS]
    with mpl.rc_context(FIGURE_STYLE):
        figure, panels = panel_grid(max(len(trials), 1))
        for axes, trial in zip(panels, trials, strict=False):
            own = table[table["trial"] == trial]
            own = own[(own["fold"] == own["fold"].iloc[0]) & (own["seed"] == own["seed"].iloc[0])]
            for (block, heads), color in zip(own.groupby("block"), COLOURS * 3, strict=False):
                sites = np.exp(heads["entropy"])
                for x, y, head in zip(heads["mean_distance"], sites, heads["head"], strict=True):
                    axes.scatter(x, y, s=24, color=color, marker=f"${head}$", linewidths=0.2)  # its number is its mark
                axes.scatter([], [], s=16, color=color, label=f"block {block}")
            uniform = own.iloc[0]
            axes.plot(uniform["uniform_mean_distance"], np.exp(uniform["uniform_entropy"]), "x", color="black")
            axes.axvline(uniform["uniform_mean_distance"], color=GREY, linewidth=0.8, linestyle=":")
            axes.set_title(analysis.names[trial], loc="left")
            axes.legend(fontsize=7)
        if trials:
            panels[0].set_yscale("log")
            number_logs(panels[0].yaxis)
        figure.supxlabel("mean distance of the attention on other sites (angstrom)", fontsize="medium")
        figure.supylabel("attended sites, exp(entropy)", fontsize="medium")
    return figure
