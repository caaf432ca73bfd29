"""Figures of a benchmark: one function with its caption a figure, and one entry here.

Planning reads this list, so the functions are imported when they draw.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sitenet.config.benchmark import Benchmark
    from sitenet.evaluation.results import Results


@dataclass(frozen=True)
class FigureKind:
    """One figure, written as `<name>.svg` and `<name>.png`.

    Attributes:
        name: Name of the files and, in this folder, of the module that has the function `<name>_figure`.
        caption: What the report says below it.
        belongs: Whether a benchmark has this figure.
    """

    name: str
    caption: str
    belongs: "Callable[[Benchmark], bool]" = lambda benchmark: True

    def draw(self, results: "Results") -> "Figure":
        """The figure of some results."""
        return getattr(import_module(f"sitenet.evaluation.figures.{self.name}"), f"{self.name}_figure")(results)


FIGURES = (
    FigureKind(
        "leaderboard",
        """Test MAE of each model, the mean over folds, best first. The bars are 95 % bootstrap intervals over test
        crystals, resampled within each fold. Grey points are single folds.""",
    ),
    FigureKind(
        "parity",
        """Predicted against reference values of the test crystals of all folds. Each crystal is predicted by a model
        that did not see it, once with every seed; of an ensemble it is the mean over seeds. Where there are many
        points, shading counts them on a logarithmic scale. On the black line prediction and reference agree. Each
        panel gives the MAE and its 95 % interval as in the leaderboard.""",
    ),
    FigureKind(
        "epoch_curves",
        """MAE by epoch on training crystals (while the weights changed) and on validation crystals, one panel for
        each trial, best first. Thin lines are single runs (fold and seed). Thick lines are their mean, up to the
        end of the shortest run. The error axis is logarithmic.""",
    ),
    FigureKind(
        "ablation",
        """Every trial of a network against the first one of its kind in the grid, by the settings that differ: the
        difference in test MAE on the same folds, seeds and test crystals. Negative differences (blue) are better.
        The 95 % intervals hold for other seeds and other test crystals. Grey points are single folds and seeds.
        With one seed the spread over trainings is not known and left out. Intervals are not adjusted for the
        number of comparisons.""",
        lambda benchmark: benchmark.compares_trials,
    ),
    FigureKind(
        "training_size",
        """Left: MAE by the number of training crystals; the smaller sets of a seed are contained in its larger ones.
        Points are single runs (fold and seed), lines join means. The error is that on test crystals, or on
        validation crystals where there are no test targets, as the axis says. Right: error on validation crystals
        by training time, which depends on the machine. Thin lines are single runs, thick ones their mean. All
        axes are logarithmic.""",
        lambda benchmark: benchmark.scans_training_size,
    ),
)
