"""Grid entries of the configuration, expanded to trials."""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

from sitenet.config.space import Space, has_distributions
from sitenet.config.trial import Trial, checked_sections, sections_of
from sitenet.errors import UserError
from sitenet.models.registry import model_kinds
from sitenet.settings.problems import unknown
from sitenet.settings.section import Section

MAX_TRIALS = 10_000
GridEntry = Mapping[str, Mapping[str, Any]]


def expand_grid(entries: Any) -> dict[str, Trial]:
    """All trials of a grid by id, in the order written; a trial listed twice counts once.

    An entry has the sections of its model kind (`model`, `features`, `training`). A list is a scan over
    its values, so a hyperparameter that is itself a list is written as a list of lists. Entries with distributions
    are left to `search_spaces`.

    Raises:
        UserError: The grid or one scan is empty, a model kind or key is unknown, a value is out of range.
    """
    plain = [(entry, where) for entry, where in _checked(entries) if not has_distributions(entry)]
    return {trial.id: trial for entry, where in plain for trial in _expand_entry(entry, where)}


def search_spaces(entries: Any) -> list[Space]:
    """The entries of a grid that have distributions.

    Raises:
        UserError: One of them is not valid.
    """
    return [Space(entry, where) for entry, where in _checked(entries) if has_distributions(entry)]


def _checked(entries: Any) -> list[tuple[GridEntry, str]]:
    """Every entry with its key; its sections exist."""
    if not isinstance(entries, list) or not entries:
        raise UserError("configuration key 'grid' is empty: it needs at least one entry with a 'model' section")
    return [(_with_known_sections(entry, f"grid.{i}"), f"grid.{i}") for i, entry in enumerate(entries)]


def _with_known_sections(entry: Any, where: str) -> GridEntry:
    sections = sections_of(_kind(entry, where))
    for name in entry:
        if name not in sections:
            raise UserError(unknown("configuration key", f"{where}.{name}", [f"{where}.{s}" for s in sections]))
        if not isinstance(entry[name], Mapping):
            raise UserError(f"configuration key '{where}.{name}' has the value {entry[name]!r}: it needs keys below it")
    return entry


def _expand_entry(entry: GridEntry, where: str) -> Iterator[Trial]:
    kind = _kind(entry, where)
    for point in _points(entry, where, sections_of(kind)):
        yield Trial(checked_sections(kind, point, where))


def _kind(entry: Any, where: str) -> str:
    model = entry.get("model") if isinstance(entry, Mapping) else None
    kind = model.get("kind") if isinstance(model, Mapping) else None
    if not isinstance(kind, str):
        raise UserError(f"configuration key '{where}.model.kind' is missing (valid: {', '.join(model_kinds())})")
    if kind not in model_kinds():
        raise UserError(unknown(f"configuration key '{where}.model.kind': model", kind, model_kinds()))
    return kind


def _points(entry: GridEntry, where: str, sections: Mapping[str, type[Section]]) -> Iterator[dict[str, dict[str, Any]]]:
    """One nested dictionary for each combination of the scanned values."""
    written: dict[tuple[str, ...], Any] = {}
    for section, values in entry.items():
        for key, value in values.items():
            if key in sections[section].mappings() and isinstance(value, Mapping):
                written |= {(section, key, str(name)): own for name, own in value.items()}
            else:
                written[section, key] = value
    scans = [_scan(value, ".".join([where, *keys])) for keys, value in written.items()]
    n_points = math.prod(map(len, scans))
    if n_points > MAX_TRIALS:
        raise UserError(f"configuration key '{where}' scans {n_points:,} combinations; the limit is {MAX_TRIALS:,}")
    for chosen in itertools.product(*scans):
        point: dict[str, dict[str, Any]] = {}
        for (section, key, *names), value in zip(written, chosen, strict=True):
            if names:
                point.setdefault(section, {}).setdefault(key, {})[names[0]] = value
            else:
                point.setdefault(section, {})[key] = value
        yield point


def _scan(value: Any, key: str) -> list[Any]:
    if not isinstance(value, list):
        return [value]
    if not value:
        raise UserError(f"configuration key '{key}' is an empty list: a scan needs at least one value")
    return value
