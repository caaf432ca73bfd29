"""Grid entries with distributions in place of values: the space in which a search draws trials."""

import itertools
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sitenet.config.trial import Trial, checked_sections, sections_of
from sitenet.errors import UserError
from sitenet.models.registry import is_network
from sitenet.settings.features import FeatureSettings
from sitenet.settings.problems import unknown, validate
from sitenet.settings.section import with_numbers

RANGES = ("uniform", "log_uniform", "integer", "log_integer")
KINDS = (*RANGES, "choice")
TRIES = 200  # before a space counts as empty
DIGITS = 4  # significant digits of a number that is drawn, so that it can be written in a configuration

Entry = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Distribution:
    """Where a hyperparameter is drawn from.

    Attributes:
        kind: One of `KINDS`.
        values: Lowest and highest value of a range, or all values of a choice.
    """

    kind: str
    values: tuple[Any, ...]

    @classmethod
    def parse(cls, value: Mapping[str, Any], key: str) -> "Distribution":
        """Reads `{kind: values}`.

        Raises:
            UserError: The distribution is unknown, or its values are not what it needs.
        """
        if len(value) != 1:
            raise UserError(f"configuration key '{key}' is a distribution: it needs one of {', '.join(KINDS)}")
        ((kind, values),) = value.items()
        if kind not in KINDS:
            raise UserError(unknown(f"configuration key '{key}': distribution", kind, KINDS))
        values = with_numbers(values)
        problem = _problem(kind, values)
        if problem:
            raise UserError(f"configuration key '{key}.{kind}' has the value {values!r}: {problem}")
        return cls(kind, tuple(values))

    def draw(self, rng: random.Random) -> Any:
        """Some value, to try whether there is one that goes with others."""
        if self.kind == "choice":
            return rng.choice(self.values)
        return rng.randint(*self.values) if "integer" in self.kind else rng.uniform(*self.values)

    def rounded(self, number: float) -> float:
        """A number of a range of floats with few digits, within the range."""
        low, high = self.values
        return min(max(float(f"{number:.{DIGITS}g}"), low), high)


def _problem(kind: str, values: Any) -> str:
    if not isinstance(values, list):
        return "a list is needed"
    if kind == "choice":
        repeated = any(value in values[:i] for i, value in enumerate(values))
        return "at least two values are needed, and none may be repeated" if len(values) < 2 or repeated else ""
    wanted: type | tuple[type, ...] = int if "integer" in kind else (int, float)
    valid = len(values) == 2 and all(isinstance(v, wanted) and not isinstance(v, bool) for v in values)
    if not (valid and -math.inf < values[0] < values[1] < math.inf):
        return f"[lowest, highest] is needed, two {'integers' if 'integer' in kind else 'numbers'}"
    return "a logarithmic range begins above 0" if kind.startswith("log") and values[0] <= 0 else ""


class Space:
    """The trials that a grid entry with distributions stands for.

    Attributes:
        entry: The entry as written.
        where: Its key in the configuration, for messages.
        fixed: Values by dotted name ("model.blocks") that all trials share.
        distributions: Distributions by dotted name, in the order written.
    """

    def __init__(self, entry: Entry, where: str):
        """Reads an entry whose sections are known to exist.

        Raises:
            UserError: The model is no network, a distribution is not valid, or a list is a scan.
        """
        if not is_network(str(entry["model"]["kind"])):
            raise UserError(f"configuration key '{where}' has distributions, but only networks are searched")
        self.entry, self.where = entry, where
        self.fixed: dict[str, Any] = {}
        self.distributions: dict[str, Distribution] = {}
        for section, key, value in ((s, k, v) for s, values in entry.items() for k, v in values.items()):
            name = f"{section}.{key}"
            if isinstance(value, Mapping):
                self.distributions[name] = Distribution.parse(value, f"{where}.{name}")
            elif isinstance(value, list) and len(value) != 1:
                raise UserError(
                    f"configuration key '{where}.{name}' is a scan in an entry with distributions: "
                    "write {choice: [...]} in place of the list"
                )
            else:
                self.fixed[name] = value[0] if isinstance(value, list) else value
        self._check()

    @property
    def content(self) -> dict[str, Any]:
        """The values and distributions, as JSON can hold them; the same for entries that draw the same."""
        drawn = {name: [d.kind, *d.values] for name, d in self.distributions.items()}
        return {"fixed": dict(sorted(self.fixed.items())), "drawn": dict(sorted(drawn.items()))}

    def trial(self, values: Mapping[str, Any]) -> Trial:
        """The trial with these values of the distributions, by dotted name.

        Raises:
            UserError: The values do not go together.
        """
        nested: dict[str, dict[str, Any]] = {}
        for name, value in (self.fixed | dict(values)).items():
            section, _, key = name.partition(".")
            nested.setdefault(section, {})[key] = value
        return Trial(checked_sections(str(self.fixed["model.kind"]), nested, self.where))

    def values_of(self, name: str) -> tuple[Any, ...]:
        """All values of a setting that are written, by its dotted name."""
        if name in self.distributions:
            return self.distributions[name].values
        return (self.fixed[name],) if name in self.fixed else ()

    @property
    def starts(self) -> list[str]:
        """The networks from which its trainings may start."""
        return [str(name) for name in self.values_of("training.start_from") if name is not None]

    @property
    def feature_sets(self) -> list[FeatureSettings]:
        """Feature settings of every combination of the choices among the features."""
        own = {
            n.removeprefix("features."): d.values for n, d in self.distributions.items() if n.startswith("features.")
        }
        fixed = {n.removeprefix("features."): v for n, v in self.fixed.items() if n.startswith("features.")}
        points = [dict(zip(own, values, strict=True)) for values in itertools.product(*own.values())]
        return [validate(FeatureSettings, fixed | point, f"{self.where}.features") for point in points]

    def _first(self) -> dict[str, Any]:
        return {name: distribution.values[0] for name, distribution in self.distributions.items()}

    def _check(self) -> None:
        """Tries every value that is written, with the first values of the other distributions.

        Values that do not go together, such as a width that no number of heads divides, are left to the search.
        """
        for name, distribution in self.distributions.items():
            key = f"{self.where}.{name}"
            if name.startswith("features.") and distribution.kind != "choice":
                raise UserError(f"configuration key '{key}' is a range: features need a choice, since each is computed")
            for value in distribution.values:
                try:
                    self.trial(self._first() | {name: value})
                except UserError as error:
                    lines = str(error).splitlines()
                    own = [line for line in lines if line.startswith(f"configuration key '{key}")]
                    if own:
                        raise UserError(own[0]) from None
        self._check_fixed()

    def _check_fixed(self) -> None:
        """Problems of values that all trials share are known before any is drawn."""
        problem = self._refusal(self._first())
        shared = [f"configuration key '{self.where}.{name}'" for name in self.fixed]
        lines = [line for line in problem.splitlines() if line.startswith(tuple(shared))]
        if lines:
            raise UserError("\n".join(lines))
        rng = random.Random(0)
        drawn = ({name: d.draw(rng) for name, d in self.distributions.items()} for _ in range(TRIES))
        if problem and all(map(self._refusal, drawn)):
            raise UserError(f"configuration key '{self.where}': of {TRIES} trials drawn, none is valid; {problem}")

    def _refusal(self, values: Mapping[str, Any]) -> str:
        """Why there is no trial with these values; empty where there is one."""
        try:
            self.trial(values)
        except UserError as error:
            return str(error)
        return ""


def has_distributions(entry: Entry) -> bool:
    """Whether a value of a grid entry is a distribution."""
    for section, settings in sections_of(str(entry["model"]["kind"])).items():
        for key, value in entry.get(section, {}).items():
            if key in settings.mappings() and isinstance(value, Mapping):
                own = [v for v in value.values() if isinstance(v, Mapping) and len(v) == 1 and set(v) <= set(KINDS)]
            else:
                own = [value] if key in settings.model_fields and isinstance(value, Mapping) else []
            if own:
                return True
    return False
