"""What a grid may ask of the targets of its data set."""

from typing import TYPE_CHECKING

from sitenet.errors import UserError
from sitenet.models.registry import model_kinds
from sitenet.settings.problems import unknown
from sitenet.settings.training import ALL, TrainingSettings, listed
from sitenet.tasks import CLASSIFICATION

if TYPE_CHECKING:
    from sitenet.config.benchmark import Benchmark


def check_classes(benchmark: "Benchmark") -> None:
    """Refuses what has no meaning for a classification.

    Raises:
        UserError: A model cannot classify, or a network has a setting that is for numbers.
    """
    if benchmark.task is not CLASSIFICATION:
        return
    if benchmark.settings.compare_to:
        raise UserError(
            f"configuration key 'compare_to' has the value '{benchmark.settings.compare_to}': leave it out, since the "
            "target of this data set is a class, and the comparison is of errors of numbers"
        )
    for trial in benchmark.baselines.values():
        if not model_kinds()[trial.kind].classifier:
            raise UserError(
                f"the model kind '{trial.kind}' is for regression, and the target of this data set is a class"
            )
    for key in ("loss", "standardise_target"):
        default = TrainingSettings.model_fields[key].default
        if other := [value for value in benchmark.training_values(key) if value != default]:
            raise UserError(
                f"configuration key 'training.{key}' has the value {other[0]!r}: leave it out, since the target of "
                "this data set is a class, and networks learn it by the cross-entropy"
            )


def check_other_targets(benchmark: "Benchmark") -> None:
    """Refuses further targets that the data set does not have.

    Raises:
        UserError: A network would learn one of them.
    """
    valid = [other.name for other in benchmark.settings.dataset.others]
    for name in (name for names in benchmark.training_values("other_targets") for name in listed(names)):
        if not valid:
            raise UserError(
                f"configuration key 'training.other_targets' has the value {name!r}, but the data set has no further "
                "target: name those of dataset.other_targets"
            )
        if name == benchmark.settings.dataset.target:
            raise UserError(
                f"configuration key 'training.other_targets' has the value {name!r}, which is the target itself: leave "
                "it out"
            )
        if name not in (*valid, ALL):
            raise UserError(unknown("configuration key 'training.other_targets': target", name, [*valid, ALL]))


def unused_targets(benchmark: "Benchmark") -> list[str]:
    """Further targets of the data set that no network learns."""
    learnt = {name for names in benchmark.training_values("other_targets") for name in listed(names)}
    return [other.name for other in benchmark.settings.dataset.others if not learnt & {other.name, ALL}]
