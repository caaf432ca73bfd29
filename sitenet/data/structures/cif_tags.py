"""The values of a CIF block by their data names."""

from collections.abc import Iterable
from typing import cast

import gemmi

from sitenet.data.crystal import BadCrystal

MISSING = ("", ".", "?")

Tags = dict[str, list[str]]


def read_tags(block: gemmi.cif.Block) -> Tags:
    """Values by data name in lower case, with the dots of newer dictionaries as underscores.

    Raises:
        BadCrystal: A name is given twice, with different values.
    """
    wanted = ("_cell", "_atom_site", "_symmetry", "_space_group", "_chemical_formula", "_exptl_crystal_density")
    tags: Tags = {}
    for item in block:
        if item.pair is not None:
            tag, value = cast(tuple[str, str], item.pair)
            columns = [(tag, [value])]
        elif item.loop is not None and any(tag.lower().startswith(wanted) for tag in item.loop.tags):
            n_columns, values = len(item.loop.tags), item.loop.values
            columns = [(tag, values[n::n_columns]) for n, tag in enumerate(item.loop.tags)]
        else:
            continue
        for tag, column in columns:
            name = tag.lower().replace(".", "_")
            if name.startswith(wanted):
                found = [gemmi.cif.as_string(value).strip() for value in column]
                before, empty = tags.get(name), [[word] for word in MISSING]
                if before is None or before in empty:
                    tags[name] = found
                elif found not in empty and found != before:
                    raise BadCrystal(f"unreadable: {tag} is given twice")
    return tags


def first(tags: Tags, names: Iterable[str]) -> str:
    """The first value that is given under one of several names."""
    values = (value for name in names for value in tags.get(name, [])[:1])
    return next((value for value in values if value not in MISSING), "")
