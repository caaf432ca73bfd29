"""Writes docs/configuration.md from the sections of the configuration: `python tools/configuration_reference.py`."""

import json
import re
from inspect import cleandoc
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sitenet.config.features import FeatureSettings
from sitenet.config.training import TrainingSettings
from sitenet.config.trial import BASELINES, NETWORKS, PUBLISHED

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
SECTIONS: dict[str, type[BaseModel]] = {
    **{f"`model` of kind `{kind}`": section for kind, section in NETWORKS.items()},
    "`features`": FeatureSettings,
    "`training`": TrainingSettings,
    **{f"`model` of kind `{kind}`": section for kind, section in (BASELINES | PUBLISHED).items()},
}
INTRODUCTION = """\
# Configuration

`config.yaml` explains the top-level keys; [data.md](data.md) those of `dataset` and `splits`. Everything is checked
before a job starts: a key that does not exist, a value out of range or an unknown name is one line that says what
is valid.

A configuration file can run code, and does so while a run is only planned: Snakemake hands a YAML file that says
`__use_yte__: true` to its template engine YTE, whose `__definitions__` and `?` expressions are Python. This happens
before it reads this workflow, which therefore cannot refuse such a file. None of the configurations here uses it.
Look for `__use_yte__` in a configuration that you did not write, as you would read a script before running it.

## The grid

`grid` is a list of entries. An entry has the sections of its model kind, and a list in it is a scan: the trials are
all combinations of the scanned values. A hyperparameter that is itself a list is therefore written as a list of lists,
`head_hidden: [[200, 200, 200], [100]]`. An entry has 10,000 trials at most.

A trial is what differs from the defaults below. Its id is the first 8 hexadecimal digits of the SHA-256 of these
differences as sorted JSON, so a value that is written out but equals its default changes nothing, one more grid value
runs only its own jobs, and `trials.csv` and `results/runs/` use the same ids for ever.

The first trial of a network in the grid is the reference that `ablation.md` compares its others with. To change one
thing at a time, name the sections of the reference and merge them into further entries, as in `configs/ablation.yaml`:

```yaml
grid:
  - &reference
    model: &model {kind: sitenet_radial}
    training: &training {schedule: one_cycle, max_epochs: 30}
  - {<<: *reference, model: {<<: *model, blocks: [2, 7]}}
  - {<<: *reference, training: {<<: *training, schedule: [constant, cosine]}}
```
"""


def reference() -> str:
    """The page as Markdown."""
    tables = [f"## {title}\n\n{_summary(section)}\n\n{_table(section)}\n" for title, section in SECTIONS.items()]
    return "\n".join([INTRODUCTION, *tables])


def _summary(section: type[BaseModel]) -> str:
    return cleandoc(section.__doc__ or "").split("\n\nAttributes:")[0]


def _table(section: type[BaseModel]) -> str:
    described = _attributes(cleandoc(section.__doc__ or ""))
    rows = [
        f"| `{name}` | `{json.dumps(field.get_default())}` | {described.get(name, 'Kind of model.')}{_valid(field)} |"
        for name, field in section.model_fields.items()
    ]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows])


def _valid(field: FieldInfo) -> str:
    """The names that a choice has, unless it has only one."""
    names = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    return f" Valid: {', '.join(f'`{name}`' for name in names)}." if len(names) > 1 else ""


def _attributes(docstring: str) -> dict[str, str]:
    _, _, attributes = docstring.partition("Attributes:\n")
    entries = re.findall(r"^    (\w+): (.*(?:\n     +.*)*)", attributes, flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
