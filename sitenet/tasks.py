"""What a data set asks for, a number or one of two classes, and by which scores models are judged.

Everything that depends on the task asks here, or in the few tables that are keyed by its name. Light to import, as
planning and the end of a run read it.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

TaskName = Literal["regression", "classification"]


@dataclass(frozen=True)
class Score:
    """A number that says how good predictions are.

    Attributes:
        key: Name in records and CSV files.
        label: Name in tables for people.
        better: Whether lower or higher values are better; None for a number that says nothing about predictions.
        has_unit: Whether it has the unit of the target.
    """

    key: str
    label: str
    better: Literal["lower", "higher"] | None = field(default="lower", kw_only=True)
    has_unit: bool = field(default=True, kw_only=True)

    def header(self, unit: str) -> str:
        """The label with its unit, for the heading of a column or an axis."""
        return f"{self.label} ({unit})" if self.has_unit else self.label

    def amount(self, text: str, unit: str) -> str:
        """A value of the score, which is given as text, with its unit."""
        return f"{text} {unit}" if self.has_unit else text

    def loss(self, value: float) -> float:
        """The value where lower is better, else its negative: what models are sorted by."""
        return -value if self.better == "higher" else value

    @property
    def best(self) -> str:
        """What a value is called that no other is better than: "lowest" or "highest"."""
        return "highest" if self.better == "higher" else "lowest"


@dataclass(frozen=True)
class Task:
    """What is predicted, and what follows from it.

    Attributes:
        name: Its name in manifests and records.
        score: Ranks the models by their test crystals.
        error: Chooses epochs and trials by validation crystals; lower is better.
        crystal_error: An error that each crystal has, and whose mean over crystals is this score.
        power: The error of one crystal is |prediction - target| to this power.
    """

    name: TaskName
    score: Score
    error: Score
    crystal_error: Score
    power: int

    def crystal_errors(self, target: Any, prediction: Any) -> Any:
        """The error of each crystal, from arrays or columns of targets and predictions."""
        return abs(prediction - target) ** self.power

    def words(self, text: str) -> str:
        """A text in which {score}, {key}, {error} and {crystal_error} stand for what the task's scores are called."""
        named = {"{score}": self.score.label, "{key}": self.score.key, "{error}": self.error.label}
        for place, name in (named | {"{crystal_error}": self.crystal_error.label}).items():
            text = text.replace(place, name)
        return text


MAE = Score("mae", "MAE")
ROC_AUC = Score("roc_auc", "ROC-AUC", better="higher", has_unit=False)
LOG_LOSS = Score("log_loss", "log loss", has_unit=False)
BRIER = Score("brier", "Brier score", has_unit=False)

REGRESSION = Task("regression", score=MAE, error=MAE, crystal_error=MAE, power=1)
# The log loss chooses, not the ROC-AUC: it also sees whether probabilities are right, it is known for every crystal and
# so is less noisy on the few validation crystals, and it exists where these are all of one class.
CLASSIFICATION = Task("classification", score=ROC_AUC, error=LOG_LOSS, crystal_error=BRIER, power=2)
TASKS: dict[TaskName, Task] = {task.name: task for task in (REGRESSION, CLASSIFICATION)}
