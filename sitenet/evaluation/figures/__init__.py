"""Figures of a benchmark: the list of all figures with their captions.

Planning the workflow reads this list, so the functions that draw are imported only when they are called.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sitenet.tasks import TaskName

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sitenet.config.benchmark import Benchmark


@dataclass(frozen=True)
class FigureKind:
    """One figure, written as `<name>.svg` and `<name>.png`.

    Attributes:
        name: Name of the files, and of the module in this folder with the function `<name>_figure`.
        caption: Text below the figure in the report, with the places that `Task.words` fills in.
        belongs: Whether a benchmark has this figure.
        task: The task whose benchmarks alone have it; None where all have.
    """

    name: str
    caption: str
    belongs: "Callable[[Benchmark], bool]" = lambda benchmark: True
    task: TaskName | None = None

    def is_of(self, benchmark: "Benchmark") -> bool:
        """Whether the benchmark has this figure."""
        return self.task in (None, benchmark.task.name) and self.belongs(benchmark)

    def draw(self, results: Any) -> "Figure":
        """Draws the figure from `Results`, or from an `AttentionAnalysis`."""
        return getattr(import_module(f"sitenet.evaluation.figures.{self.name}"), f"{self.name}_figure")(results)


@dataclass(frozen=True)
class TrialMaps(FigureKind):
    """The attention maps of one trial."""

    trial: str = ""

    def draw(self, results: Any) -> "Figure":
        """Draws the figure from an `AttentionAnalysis`."""
        from sitenet.evaluation.figures.attention_maps import attention_maps_figure

        return attention_maps_figure(results, self.trial)


FIGURES = (
    FigureKind(
        "leaderboard",
        """Test {score} of each model, best first. It is the mean over folds. The bars are 95 % bootstrap intervals over
        test crystals, with formulas resampled. Grey points are single folds.""",
    ),
    FigureKind(
        "shift",
        """Test {error} of each model here and in another benchmark. Both are of the same crystals, those that both
        benchmarks have tested, and means over the folds of this one. The numbers on the right are the differences with
        their 95 % intervals, of a paired bootstrap over formulas for these trained models. Positive ones are what a
        model loses here.""",
        lambda benchmark: bool(benchmark.settings.compare_to),
    ),
    FigureKind(
        "parity",
        """Predicted against reference values. All test crystals of all folds are shown. Each crystal is predicted by
        models that were not trained on it, one for each seed; an ensemble predicts the mean over seeds. If there are
        many points, colours show their density on a logarithmic scale. On the black line prediction and reference
        agree. Triangles at the edge are crystals outside the panel. Each panel gives the MAE and its 95 % interval as
        in the leaderboard.""",
        task="regression",
    ),
    FigureKind(
        "roc",
        """ROC curves of each model. They show the share of the crystals of class 1 that are found against the share of
        those of class 0 that are taken for them, as the threshold falls. All test crystals of all folds are shown, a
        thin line for each fold and seed; an ensemble predicts the mean over seeds. On the dotted diagonal a model
        guesses. The circle is the threshold of 0.5, all lines together. Each panel gives the ROC-AUC and its 95 %
        interval as in the leaderboard.""",
        task="classification",
    ),
    FigureKind(
        "reliability",
        """How often class 1 occurs where it is predicted with some probability. Each point is a tenth of the
        probabilities, of all test crystals of all folds and seeds; bars below show how many predictions it has. On the
        dotted diagonal probabilities are right. Each panel gives the expected calibration error, the mean over
        folds.""",
        task="classification",
    ),
    FigureKind(
        "epoch_curves",
        """{error} by epoch. It is that on training crystals (while the weights changed) and on validation crystals, one
        panel for each trial, best first. Thin lines are single runs (fold and seed). Thick lines are their mean, up to
        the end of the shortest run. The error axis is logarithmic.""",
    ),
    FigureKind(
        "ablation",
        """Trials of a network against the first one. The difference is in test {crystal_error}, to the first trial of
        its kind in the grid, on the same folds, seeds and test crystals. Labels name the settings that differ. Negative
        differences (blue) are better. The 95 % intervals account for the choice of seeds and test crystals. Grey points
        are single folds and seeds. With one seed the variation between trainings is unknown and not included. The
        intervals are not adjusted for multiple comparisons.""",
        lambda benchmark: benchmark.compares_trials,
    ),
    FigureKind(
        "training_size",
        """Error by training crystals and by time. Left: {error} by the number of training crystals; the smaller sets of
        a seed are contained in its larger ones. Points are single runs (fold and seed), lines join means. The {error}
        is over test crystals, or over validation crystals if there are no test targets; the axis says which. Right:
        {error} over validation crystals by training time, which depends on the machine. Thin lines are single runs,
        thick lines their mean. All axes are logarithmic.""",
        lambda benchmark: benchmark.scans_training_size,
    ),
    FigureKind(
        "search_progress",
        """Validation {error} by epochs and by training time of all trials so far. There is a line for each search and
        for the grid's trials of the same kind, in the order planned. Points are single trainings, also those that were
        stopped early. Lines are the lowest {error} so far. Trainings that diverged only cost time. The error axis is
        logarithmic; times depend on the machine.""",
        lambda benchmark: bool(benchmark.searches),
    ),
    FigureKind(
        "search_importance",
        """How much each hyperparameter of a search mattered. It is the share of the variance of log(validation {error})
        over the space that it explains by itself, in a random forest (functional ANOVA). Lines are 95 % intervals of a
        bootstrap over trials. What is missing to 1 is due to hyperparameters together, and to chance.""",
        lambda benchmark: bool(benchmark.searches),
    ),
)


# What the analysis of attention draws, beside `maps_of_trial`.
ATTENTION_FIGURES = (
    FigureKind(
        "attention_cutoff",
        """Test {crystal_error} of networks that do not see beyond a distance. The networks were trained with all pairs
        of sites; at prediction, pairs beyond the cut-off are left out, and the weights of the others sum to 1 again.
        Dotted lines are the {crystal_error} with all pairs. Bands are 95 % intervals of the difference to it, paired
        over crystals and seeds. Right: the share of the attention that lies within the cut-off, mean over heads.""",
    ),
    FigureKind(
        "attention_heads",
        """How far each head attends. Numbers are heads, each at its place: the mean distance of their weights on other
        sites, and the number of sites that the entropy of their weights amounts to. Both are means over the test
        crystals of the first analysed run. The cross has equal weights for all sites.""",
    ),
    FigureKind(
        "attention_crystals",
        """What a long reach of attention goes with. Spearman's rank correlation, over test crystals, of the long-range
        coefficient with properties of the crystal, with 95 % intervals over formulas. The coefficient is the largest
        product of a weight and its distance over all sites, heads and blocks. Intervals are not adjusted for their
        number.""",
    ),
)


def maps_of_trial(trial: tuple[str, str]) -> TrialMaps:
    """The figure with the attention maps of a trial, which is given by id and name."""
    id_, name = trial
    caption = f"""Attention against distance of {name}. A panel for each block and head of its first analysed run: of
        all pairs of two sites at a distance, how many have which weight. The colours of a column sum to 1 and are
        logarithmic, like the weights. Pairs of a site and itself are left out; the titles give their mean weight."""
    return TrialMaps(f"attention_maps_{id_}", caption, trial=id_)
