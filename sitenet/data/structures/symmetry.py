"""The symmetry that a CIF file may mean, as gemmi and as pymatgen understand what it says."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pymatgen.symmetry
from numpy.typing import NDArray
from pymatgen.core.operations import SymmOp

from sitenet.data.crystal import BadCrystal
from sitenet.data.structures.cif import CifContent
from sitenet.data.structures.cif_symmetry import symbol_and_setting

# Translations are written with few digits (0.3333), and no two of a space group are nearer.
_TRANSLATION = 1e-3
# How far an operator may distort the cell, as a share of its lengths: cells are written with few digits.
_DISTORTION = 0.02
_IDENTITY = ("x,y,z",)


@dataclass(frozen=True)
class Symmetry:
    """One understanding of the symmetry.

    Attributes:
        name: For messages: `P 21/c`, or `8 operators`.
        operators: Such as `-x,y+1/2,-z`.
        readers: Who understands it so.
    """

    name: str
    operators: tuple[str, ...]
    readers: tuple[str, ...]


def possible_symmetries(content: CifContent) -> list[Symmetry]:
    """What the symmetry may be: the operators that are listed, or else what the names of the space group allow.

    Without an origin or axes, a name may mean two or more. Those that the cell does not have are left out.

    Raises:
        BadCrystal: Nobody understands it, the operators are no group, or the cell has none of the symmetries.
    """
    if content.operators:
        found = [_listed(content.operators)]
    elif content.hall or content.hm or content.number:
        found = _named(content)
    else:
        found = [Symmetry("P 1", _IDENTITY, ("gemmi", "pymatgen"))]
    numbers = {group_number(symmetry.operators) for symmetry in found}
    if not content.operators and content.number.isdecimal() and not numbers & {int(content.number[:9]), 0}:
        named = f"{found[0].name} is number {min(numbers)}"
        raise BadCrystal(f"contradictory: {named}, the file says {content.number[:9]}")
    fitting = [symmetry for symmetry in found if _fits(content.cell, symmetry.operators)]
    if not fitting:
        cell = " ".join(f"{value:g}" for value in content.cell)
        raise BadCrystal(f"contradictory: the cell {cell} does not have the symmetry of {found[0].name}")
    return fitting


def named_groups(content: CifContent) -> set[tuple[int, int]]:
    """Numbers and orders of the space groups that the file may name; empty if it names none that is known."""
    if not content.hall and not content.hm:
        return set()
    named = (operators for _, operators in _gemmi_named(content.hall, content.hm, ""))
    return {(group_number(operators), len(operators)) for operators in named}


@lru_cache(maxsize=1024)
def group_number(operators: tuple[str, ...]) -> int:
    """The number of the space group, 0 if gemmi's table has it not in this setting."""
    group = gemmi.find_spacegroup_by_ops(gemmi.GroupOps([gemmi.Op(operator) for operator in operators]))
    return group.number if group else 0


@lru_cache(maxsize=1024)
def matrices(operators: tuple[str, ...]) -> NDArray[np.float64]:
    """(n, 3, 4) rotations and translations of operators, as pymatgen reads them."""
    return np.array([SymmOp.from_xyz_str(operator).affine_matrix[:3] for operator in operators])


@lru_cache(maxsize=1024)
def _listed(operators: tuple[str, ...]) -> Symmetry:
    """Operators that a file lists, once both readers take them for the same, and for a whole group."""
    try:
        parsed = [gemmi.Op(operator) for operator in operators]
    except RuntimeError as error:
        raise BadCrystal(f"unreadable: gemmi reads no such operator: {error}") from None
    read = np.array([np.column_stack([op.rot, op.tran]) / gemmi.Op.DEN for op in parsed])
    difference = read - matrices(operators)
    difference[:, :, 3] -= np.rint(difference[:, :, 3])
    if np.abs(difference).max() > _TRANSLATION:
        odd = operators[int(np.abs(difference).max(axis=(1, 2)).argmax())]
        raise BadCrystal(f"undecided: gemmi and pymatgen read the operator {odd} differently")
    distinct = {op.wrap().triplet() for op in parsed}
    group = gemmi.GroupOps(parsed)
    group.add_missing_elements()
    if len(group) != len(distinct):
        raise BadCrystal(
            f"contradictory: {len(distinct)} operators are listed, together they make a group of {len(group)}"
        )
    known = gemmi.find_spacegroup_by_ops(group)
    one = "P 1" if len(distinct) == 1 else f"{len(distinct)} operators"
    return Symmetry(known.xhm() if known else one, tuple(sorted(distinct)), ("gemmi", "pymatgen"))


def _named(content: CifContent) -> list[Symmetry]:
    """What the names allow, equal operators only once."""
    words = content.hall or content.hm or content.number
    by_operators: dict[frozenset[bytes], Symmetry] = {}
    tables = {
        "gemmi": _gemmi_named(content.hall, content.hm, content.number),
        "pymatgen": _pymatgen_named(content.hall, content.hm, content.number),
    }
    for reader, named in tables.items():
        for name, operators in named:
            key = _key(operators)
            readers = by_operators[key].readers if key in by_operators else ()
            by_operators[key] = Symmetry(name, operators, (*readers, reader))
    if not by_operators:
        raise BadCrystal(f"unreadable: no space group is called '{words[:40]}', and no operators are listed")
    return list(by_operators.values())


@lru_cache(maxsize=1024)
def _key(operators: tuple[str, ...]) -> frozenset[bytes]:
    wrapped = matrices(operators).copy()
    wrapped[:, :, 3] = np.rint(wrapped[:, :, 3] % 1 * 72) % 72
    return frozenset(wrapped.astype(np.int8).tobytes()[n * 12 : n * 12 + 12] for n in range(len(wrapped)))


@lru_cache(maxsize=1024)
def _gemmi_named(hall: str, hm: str, number: str) -> list[tuple[str, tuple[str, ...]]]:
    """Space groups by Hall symbol, else those of gemmi's table by Hermann-Mauguin symbol, else by number.

    A Hall symbol of another space group than the Hermann-Mauguin symbol does not outdo it.
    """
    symbol, setting = symbol_and_setting(hm)
    known = gemmi.find_spacegroup_by_name(symbol) if symbol else None
    if not hall and not hm and number.isdecimal():
        known = gemmi.find_spacegroup_by_number(int(number[:9]))
    settings = [group for group in gemmi.spacegroup_table() if known and group.hm == known.hm]
    chosen = [group for group in settings if setting and group.ext == setting] or settings
    named = [(group.xhm(), _operators_of(group.operations())) for group in chosen]
    try:
        by_hall = gemmi.symops_from_hall(hall.replace("_", " ")) if hall else None
    except (RuntimeError, ValueError):
        by_hall = None
    if by_hall is None:
        return named
    found = gemmi.find_spacegroup_by_ops(by_hall)
    contradicted = known is not None and found is not None and known.number != found.number
    return [(hall, _operators_of(by_hall)), *(named if contradicted else [])]


def _operators_of(group: gemmi.GroupOps) -> tuple[str, ...]:
    return tuple(op.wrap().triplet() for op in group)


@cache
def _pymatgen_table() -> list[dict[str, Any]]:
    """The table of settings that pymatgen's CIF reader looks names up in."""
    path = Path(next(iter(pymatgen.symmetry.__path__))) / "symm_ops.json"
    return json.loads(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=1024)
def _pymatgen_named(hall: str, hm: str, number: str) -> list[tuple[str, tuple[str, ...]]]:
    """Space groups of pymatgen's table with a Hall symbol, or a Hermann-Mauguin symbol, or a number."""
    symbol, setting = symbol_and_setting(hm)
    known = gemmi.find_spacegroup_by_name(symbol) if symbol else None
    spelt = {_bare(symbol), _bare(known.hm) if known else ""} - {""}
    rows = [row for row in _pymatgen_table() if "(" not in row["universal_h_m"]]
    by_hall = [row for row in rows if hall and _bare(row["hall"]) == _bare(hall)]
    by_hm = [row for row in rows if spelt & {_bare(row["hermann_mauguin"]), _bare(row["short_h_m"])}]
    by_hm = [row for row in by_hm if setting and row["universal_h_m"].endswith(f":{setting}")] or by_hm
    contradicted = by_hall and by_hm and by_hall[0]["number"] != by_hm[0]["number"]
    found = [*by_hall, *by_hm] if contradicted else by_hall or by_hm
    if not hall and not hm and number.isdecimal():
        same = [row for row in rows if row["number"] == int(number[:9])]
        found = [row for row in same if row["hermann_mauguin"] == same[0]["hermann_mauguin"]]
    return [(row["universal_h_m"].replace(" :", ":"), tuple(row["symops"])) for row in found]


def _bare(symbol: str) -> str:
    return re.sub(r"[\s_]", "", symbol).lower()


def _fits(cell: Iterable[float], operators: tuple[str, ...]) -> bool:
    """Whether the operators leave all lengths and angles of the cell as they are."""
    orth = np.array(gemmi.UnitCell(*cell).orth.mat.tolist())
    metric = orth.T @ orth
    lengths = np.sqrt(np.diag(metric))
    rotations = _rotations(operators)
    moved = np.einsum("nji,jk,nkl->nil", rotations, metric, rotations)
    return bool((np.abs(moved - metric) <= _DISTORTION * np.outer(lengths, lengths)).all())


@lru_cache(maxsize=1024)
def _rotations(operators: tuple[str, ...]) -> NDArray[np.float64]:
    return np.unique(matrices(operators)[:, :, :3], axis=0)
