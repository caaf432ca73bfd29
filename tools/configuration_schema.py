"""Writes configs/config.schema.json from the sections of the configuration: `python -m tools.configuration_schema`.

Editors complete and check config.yaml and the files of configs/ with it. What a schema cannot say, such as widths
that heads must divide, is checked when the workflow starts.
"""

import json
import re
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from sitenet.config.benchmark import BenchmarkSettings
from sitenet.config.space import RANGES
from sitenet.config.trial import sections_of
from sitenet.models.registry import is_network, model_kinds
from sitenet.settings.elements import SYMBOLS
from sitenet.settings.section import Section

FILE = Path(__file__).parents[1] / "configs" / "config.schema.json"
Schema = dict[str, Any]

# Keys whose meaning is the same in every section, or whose section has no list of attributes.
MEANINGS = {
    "dataset": "Which crystals, and what is predicted.",
    "splits": "How crystals are divided into training, validation and test parts.",
    "folds": "Numbers of the folds to run; all when left out.",
    "seeds": "Every trial is trained once for each of these.",
    "shards": "Featurizing runs in this many parallel jobs. Results do not depend on it, but changing it featurizes "
    "and trains again.",
    "resamples": "Bootstrap resamples behind the 95 % intervals of the tables.",
    "compare_to": "Name of a finished benchmark of the same data, with random folds for example. `shift.md` then says "
    "how much larger each model's errors are here; [more](out_of_distribution.md).",
    "tracking": "Weights & Biases; changing it reruns no training.",
    "analysis": "What the networks attend to, and what range they use; [more](attention.md). Null leaves it out.",
    "search": "Draws trials from the distributions in the grid; [more](search.md).",
    "grid": "The trials: a list of entries, each with the sections of its model kind.",
    "mode": "On disk for `sitenet sync`, to the server, or not at all; the variable WANDB_MODE overrides it.",
    "project": "Project in Weights & Biases.",
    "entity": "Team or user; the account's default when null.",
    "anonymize": "Send neither the host name nor the commit of the code.",
    "source": "Where the crystals come from.",
    "kind": "Decides which other keys the section has.",
    "name": "Name of the data set.",
    "n_folds": "Number of folds.",
    "test_share": "Share of the crystals in the test part.",
}
NAME_OF_RESULTS = "Results lie in `results/*/<name>`; the data set's name when left out."


def schema() -> Schema:
    """The schema of a whole configuration file."""
    whole = BenchmarkSettings.model_json_schema()
    sections = {section.__name__: section for section in _subclasses(Section)}
    for name, definition in [("BenchmarkSettings", whole), *whole["$defs"].items()]:
        _describe(definition, sections[name])
    whole["properties"]["name"]["description"] = NAME_OF_RESULTS
    for kind in model_kinds():
        for section in sections_of(kind).values():
            whole["$defs"][section.__name__] = _scanned(section_schema(section), is_network(kind))
    whole["$defs"]["Distribution"] = _distribution()
    whole["$defs"] = dict(sorted(whole["$defs"].items()))
    whole["properties"]["grid"] |= {"minItems": 1, "items": {"oneOf": [_entry(kind) for kind in model_kinds()]}}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole}


def section_schema(section: type[BaseModel]) -> Schema:
    """The schema of one section, with the meaning of every key."""
    definition = section.model_json_schema()
    _describe(definition, section)
    return definition


def _entry(kind: str) -> Schema:
    """An entry of the grid: the sections of one model kind."""
    sections = {name: {"$ref": f"#/$defs/{section.__name__}"} for name, section in sections_of(kind).items()}
    return {"type": "object", "properties": sections, "required": ["model"], "additionalProperties": False}


def _scanned(definition: Schema, searched: bool) -> Schema:
    """The section as it stands in the grid, where any value but the kind may be a list of values, or be drawn."""
    properties = definition["properties"]
    definition["properties"] = {
        key: value if key == "kind" else _scan(value, searched) for key, value in properties.items()
    }
    return definition | ({"required": ["kind"]} if "kind" in properties else {})


def _scan(value: Schema, searched: bool) -> Schema:
    """A value or a list of values; where the value itself is a list, a list of lists. Networks' may be drawn."""
    said = {name: value[name] for name in ("default", "description")}
    one = {name: item for name, item in value.items() if name not in said}
    several = {"type": "array", "items": one, "minItems": 1}
    drawn = [{"$ref": "#/$defs/Distribution"}] if searched else []
    forms = [*([] if one.get("type") == "array" else [one]), several, *drawn]
    return said | (forms[0] if len(forms) == 1 else {"anyOf": forms})


def _distribution() -> Schema:
    """A distribution in place of a value."""
    bounds = {kind: "integer" if "integer" in kind else "number" for kind in RANGES}
    ranges = {
        kind: {"type": "array", "items": {"type": of}, "minItems": 2, "maxItems": 2} for kind, of in bounds.items()
    }
    return {
        "description": "A distribution that a search draws from: [lowest, highest], or the values of a choice.",
        "type": "object",
        "properties": ranges | {"choice": {"type": "array", "minItems": 2}},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }


def _describe(definition: Schema, section: type[BaseModel]) -> None:
    """Puts the docstrings of the section and its bases in place of the titles that pydantic makes up."""
    meanings = MEANINGS.copy()
    for base in reversed(section.__mro__):
        meanings |= _attributes(cleandoc(base.__dict__.get("__doc__") or ""))
    definition.pop("title", None)
    definition["description"] = cleandoc(section.__doc__ or "").split("\n\nAttributes:")[0]
    for key, value in definition["properties"].items():
        value.pop("title", None)
        value["description"] = _in_yaml(meanings[key])
        _name_choices(key, value, section)


def _name_choices(key: str, value: Schema, section: type[BaseModel]) -> None:
    """Adds the valid names that a validator, not a type, knows."""
    targets = getattr(section, "targets", None)
    if key == "name" and isinstance(targets, dict):
        value["enum"] = list(targets)
    if key == "other_targets" and isinstance(targets, dict):
        value["items"]["enum"] = [target.name for target in targets.values()]
    if key in ("elements", "exclude_elements"):
        items = value["items"]
        items.get("items", items)["enum"] = list(SYMBOLS)  # of each fold of splits there is a list


def _attributes(docstring: str) -> dict[str, str]:
    _, _, attributes = docstring.partition("Attributes:\n")
    entries = re.findall(r"^    (\w+): (.*(?:\n     +.*)*)", attributes, flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def _in_yaml(text: str) -> str:
    """What docstrings call None, True and False, as one writes it in a configuration."""
    for python, yaml in (("None", "null"), ("True", "true"), ("False", "false")):
        text = re.sub(rf"\b{python}\b", yaml, text)
    return text


def _subclasses(section: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for each in section.__subclasses__():
        yield each
        yield from _subclasses(each)


def text() -> str:
    """The file's content."""
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
