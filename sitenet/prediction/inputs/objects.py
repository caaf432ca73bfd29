"""Crystals that are handed over in Python: structures of pymatgen, atoms of ASE, paths."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ase import Atoms
from pymatgen.core import IStructure

from sitenet.data.crystal import BadCrystal
from sitenet.data.structures.objects import from_atoms, from_structure
from sitenet.errors import UserError
from sitenet.prediction.inputs.items import Item
from sitenet.prediction.inputs.places import STANDARD_INPUT, open_inputs


def items_of_objects(crystals: Any) -> Iterator[Item]:
    """The crystals one by one; the id of a structure or of atoms is its place.

    Raises:
        UserError: Something else is in the list.
    """
    single = isinstance(crystals, IStructure | Atoms | str | Path)
    if not single and not isinstance(crystals, Iterable):
        raise UserError(_wrong(crystals))
    for place, crystal in enumerate([crystals] if single else crystals):
        if isinstance(crystal, str | Path) and str(crystal) != STANDARD_INPUT:
            yield from open_inputs([str(crystal)]).items
        elif isinstance(crystal, IStructure | Atoms):
            yield _item(str(place), crystal)
        else:
            raise UserError(_wrong(crystal))


def _item(id_: str, crystal: IStructure | Atoms) -> Item:
    try:
        return Item(id_, from_atoms(id_, crystal) if isinstance(crystal, Atoms) else from_structure(id_, crystal))
    except BadCrystal as reason:
        return Item(id_, reason)


def _wrong(found: object) -> str:
    return f"a crystal is a structure of pymatgen, atoms of ASE or a path, not a {type(found).__name__}"
