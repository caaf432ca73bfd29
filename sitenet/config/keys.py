"""Keys that stand twice in a configuration file."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from sitenet.errors import UserError

MERGE = "<<"


def check_keys(paths: Iterable[Path | str]) -> None:
    """Refuses a key that stands twice in one section, of which YAML would silently drop the first.

    Raises:
        UserError: There is one.
    """
    for path in paths:
        try:
            root = yaml.compose(Path(path).read_text("utf-8"), yaml.SafeLoader)
        except yaml.YAMLError:
            continue  # JSON with tabs, which is no YAML; whatever else is wrong, Snakemake has said
        for key, first in _doubled(root):
            raise UserError(
                f"{path}, line {key.start_mark.line + 1}: the key '{key.value}' stands twice in this section, first in "
                f"line {first.start_mark.line + 1}; only one of them would count"
            )


def _doubled(node: yaml.Node | None) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _doubled(item)
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in seen and name != MERGE:
                yield key, seen[name]
            seen[name] = key
            yield from _doubled(value)
