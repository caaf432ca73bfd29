"""Figures of a benchmark: the list of all figures with their captions.

Planning the workflow reads this list, so the functions that draw are imported only when they are called.
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
        name: Name of the files, and of the module in this folder with the function `<name>_figure`.
        caption: Text below the figure in the report.
        belongs: Whether a benchmark has this figure.
    """

    name: str
    caption: str
    belongs: "Callable[[Benchmark], bool]" = lambda benchmark: True

    def draw(self, results: "Results") -> "Figure":
        """Draws the figure."""
        return getattr(import_module(f"sitenet.evaluation.figures.{self.name}"), f"{self.name}_figure")(results)


FIGURES = (
    FigureKind(
        "leaderboard",
        """Test MAE of each model, best first. It is the mean over folds. The bars are 95 % bootstrap intervals over
        test crystals, with formulas resampled. Grey points are single folds.""",
    ),
    FigureKind(
        "parity",
        """Predicted against reference values. All test crystals of all folds are shown. Each crystal is predicted by
        models that were not trained on it, one for each seed; an ensemble predicts the mean over seeds. If there
        are many points, colours show their density on a logarithmic scale. On the black line prediction and
        reference agree. Triangles at the edge are crystals outside the panel. Each panel gives the MAE and its 95 %
        interval as in the leaderboard.""",
    ),
    FigureKind(
        "epoch_curves",
        """MAE by epoch. It is that on training crystals (while the weights changed) and on validation crystals, one
        panel for each trial, best first. Thin lines are single runs (fold and seed). Thick lines are their mean, up
        to the end of the shortest run. The error axis is logarithmic.""",
    ),
    FigureKind(
        "ablation",
        """Trials of a network against the first one. The difference is in test MAE, to the first trial of its kind in
        the grid, on the same folds, seeds and test crystals. Labels name the settings that differ. Negative
        differences (blue) are better. The 95 % intervals account for the choice of seeds and test crystals. Grey
        points are single folds and seeds. With one seed the variation between trainings is unknown and not
        included. The intervals are not adjusted for multiple comparisons.""",
        lambda benchmark: benchmark.compares_trials,
    ),
    FigureKind(
        "training_size",
        """Error by training crystals and by time. Left: MAE by the number of training crystals; the smaller sets of a
        seed are contained in its larger ones. Points are single runs (fold and seed), lines join means. The MAE is
        over test crystals, or over validation crystals if there are no test targets; the axis says which. Right:
        MAE over validation crystals by training time, which depends on the machine. Thin lines are single runs,
        thick lines their mean. All axes are logarithmic.""",
        lambda benchmark: benchmark.scans_training_size,
    ),
    FigureKind(
        "search_progress",
        """Validation MAE by epochs and by training time of all trials so far. There is a line for each search and
        for the grid's trials of the same kind, in the order planned. Points are single trainings, also those that
        were stopped early. Lines are the lowest MAE so far. Trainings that diverged only cost time. The error axis is
        logarithmic; times depend on the machine.""",
        lambda benchmark: bool(benchmark.searches),
    ),
    FigureKind(
        "search_importance",
        """How much each hyperparameter of a search mattered. It is the share of the variance of log(validation MAE)
        over the space that it explains by itself, in a random forest (functional ANOVA). Lines are 95 % intervals of a
        bootstrap over trials. What is missing to 1 is due to hyperparameters together, and to chance.""",
        lambda benchmark: bool(benchmark.searches),
    ),
)
