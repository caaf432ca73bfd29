"""Writes docs/configuration.md from the sections of the configuration: `python -m tools.configuration_reference`."""

import json
from collections.abc import Iterable
from pathlib import Path
from textwrap import fill
from typing import Any, get_args

from pydantic import BaseModel

from sitenet.config.benchmark import BenchmarkSettings
from sitenet.data.sources import DatasetSettings
from sitenet.models.registry import model_kinds
from sitenet.settings.analysis import AnalysisSettings
from sitenet.settings.elements import SYMBOLS, ElementalProperty
from sitenet.settings.features import FeatureSettings
from sitenet.settings.search import SearchSettings
from sitenet.settings.splits import SplitSettings
from sitenet.settings.tracking import TrackingSettings
from sitenet.settings.training import TrainingSettings
from tools.configuration_schema import NAME_OF_RESULTS, section_schema

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"

INTRODUCTION = """\
# Every key of the configuration

This page is written by `python -m tools.configuration_reference` from the models that check a configuration.

A configuration is one YAML file, such as [config.yaml](../config.yaml). Everything in it is checked before a job
starts. A key that does not exist, a value out of range or an unknown name gives one line, which says what is valid.

Editors with a YAML language server (VS Code with the YAML extension, for example) complete and check the keys while
you type. They read [the JSON schema](../configs/config.schema.json), which the first line of every file in `configs/`
names:

A configuration file can run code, and does so while a run is only planned: Snakemake hands a YAML file that says
`__use_yte__: true` to its template engine YTE, whose `__definitions__` and `?` expressions are Python. This happens
before it reads this workflow, which therefore cannot refuse such a file. None of the configurations here uses it.
Look for `__use_yte__` in a configuration that you did not write, as you would read a script before running it.


```yaml
# yaml-language-server: $schema=config.schema.json
```

Write the path from your file to the schema there. Without an editor the line is a comment and does nothing.
"""
GRID = """\
## `grid`

`grid` is a list of entries. An entry has the sections of its model kind: `model`, and for a network also `features`
and `training`. A list in them is a scan, and the trials are all combinations of the scanned values. A value that
is itself a list is therefore written as a list of lists: `head_hidden: [[200, 200, 200], [100]]`.

A trial is what differs from the defaults below. Its id is the first 8 digits of a hash (SHA-256) of these
differences. So a value that is written out but equals its default changes nothing, and one more value in a scan
runs only its own jobs. The tables and the folders of `results/runs/` use the same ids.

The first trial of a network is the reference that `ablation.md` compares its other trials with. To change one thing
at a time, name the sections of the reference and merge them into further entries:

```yaml
grid:
  - &reference
    model: &model {kind: sitenet_radial}
    training: &training {schedule: one_cycle, max_epochs: 30}
  - {<<: *reference, model: {<<: *model, blocks: [2, 7]}}
  - {<<: *reference, training: {<<: *training, schedule: [constant, cosine]}}
```

In an entry of a network, a value may be a distribution: `{uniform: [0.0, 0.3]}`, `{log_uniform: [1.0e-4, 1.0e-2]}`,
`{integer: [1, 4]}`, `{log_integer: [16, 256]}` or `{choice: [64, 96]}`. Such an entry is a [search](search.md), which
the key `search` describes. It has no scans.
"""
ELEMENTAL_PROPERTIES = """\
## Elemental properties

The names that `elemental_properties` may contain, from the Magpie data of matminer:

"""


def reference() -> str:
    """The page as Markdown."""
    top = _section("Top level", BenchmarkSettings, "The keys that are not in a section, and the sections.")
    return "\n".join([INTRODUCTION, top, *_sections(), f"{ELEMENTAL_PROPERTIES}{_properties()}"])


def _sections() -> Iterable[str]:
    yield from (_section(title, section) for title, section in _alternatives("dataset", "source", DatasetSettings))
    yield from (_section(title, section) for title, section in _alternatives("splits", "kind", SplitSettings))
    yield _section("`tracking`", TrackingSettings, "How runs are followed in Weights & Biases; [more](tracking.md).")
    yield _section("`analysis`", AnalysisSettings)
    yield GRID
    yield _section("`search`", SearchSettings)
    yield from (_section(f"`model` of kind `{name}`", kind.settings) for name, kind in model_kinds().items())
    yield from (_section("`features`", FeatureSettings), _section("`training`", TrainingSettings))


def _alternatives(key: str, tag: str, union: Any) -> Iterable[tuple[str, type[BaseModel]]]:
    """A title and a section for each member of a union that `tag` tells apart."""
    for section in get_args(get_args(union)[0]):
        names = get_args(section.model_fields[tag].annotation)
        yield f"`{key}` of {tag} {' or '.join(f'`{name}`' for name in names)}", section


def _section(title: str, section: type[BaseModel], summary: str | None = None) -> str:
    definition = section_schema(section)
    required = definition.get("required", [])
    rows = [
        f"| `{key}` | {_default(value, key in required)} | {_valid(value)} | {value['description']} |"
        for key, value in definition["properties"].items()
    ]
    table = "\n".join(["| key | default | valid | meaning |", "|---|---|---|---|", *rows])
    if section is BenchmarkSettings:
        table = table.replace("Name of the data set.", NAME_OF_RESULTS)
    return f"## {title}\n\n{summary or definition['description']}\n\n{table}\n"


def _default(value: dict[str, Any], required: bool) -> str:
    if required:
        return "required"
    default = value.get("default")
    return "see below" if default and isinstance(default, dict) else f"`{json.dumps(default)}`"


def _valid(value: dict[str, Any]) -> str:
    """What a key may hold, in words."""
    if "const" in value:
        return f"`{value['const']}`"
    if names := value.get("enum"):
        return _names(names)
    if alternatives := value.get("anyOf"):
        return ", or ".join(map(_valid, alternatives))
    match value.get("type"):
        case "integer" | "number":
            return _number(value)
        case "string":
            return f"text like `{value['pattern']}`" if "pattern" in value else "text"
        case "boolean":
            return "`true`, `false`"
        case "null":
            return "`null`"
        case "object" if value.get("additionalProperties"):
            return "names with their values"
        case "array" if "prefixItems" in value:
            return "`[lowest, highest]`"
        case "array" if value["items"]:
            return f"list, each {_valid(value['items'])}"
    return "a section, below"


def _names(names: list[str]) -> str:
    if names == list(SYMBOLS):
        return "the symbol of an element"
    if names == list(get_args(ElementalProperty)):
        return "an [elemental property](#elemental-properties)"
    return ", ".join(f"`{name}`" for name in names)


def _properties() -> str:
    return fill(", ".join(f"`{name}`" for name in get_args(ElementalProperty)), 120) + ".\n"


def _number(value: dict[str, Any]) -> str:
    lower = f" > {value['exclusiveMinimum']:,}" if "exclusiveMinimum" in value else ""
    lower = lower or (f" ≥ {value['minimum']:,}" if "minimum" in value else "")
    upper = f" ≤ {value['maximum']:,}" if "maximum" in value else ""
    upper = upper or (f" < {value['exclusiveMaximum']:,}" if "exclusiveMaximum" in value else "")
    return value["type"] + " and".join(filter(None, [lower, upper]))


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
