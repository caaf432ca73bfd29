"""What a CIF file says of its symmetry: operators, and names of the space group."""

import re
from collections.abc import Callable
from functools import lru_cache

import gemmi

from sitenet.data.crystal import BadCrystal
from sitenet.data.structures.cif_tags import MISSING, Tags, first
from sitenet.data.structures.text import line_of

MAX_OPERATORS, MAX_OPERATOR = 1000, 100
_OPERATORS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
_MAGNETIC = ("_space_group_symop_magn_operation_xyz", "_space_group_symop_magn_centering_xyz")
_HALL = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
_HM = ("_space_group_name_h-m_alt", "_symmetry_space_group_name_h-m", "_space_group_name_h-m_full")
_NUMBER = ("_space_group_it_number", "_symmetry_int_tables_number")
_VALUE = r"(?:[xyz]|\d+(?:\.\d*)?(?:/\d+)?|\.\d+)"
_COMPONENT = rf"[+-]?{_VALUE}(?:[+-]{_VALUE})*"
_OPERATOR = re.compile(rf"{_COMPONENT},{_COMPONENT},{_COMPONENT}")


def states_symmetry(block: gemmi.cif.Block) -> bool:
    """Whether a block has operators or a name of the space group."""
    return any(len(block.find_values(tag)) > 0 for tag in (*_OPERATORS, *_HALL, *_HM, *_NUMBER))


def space_group(tags: Tags) -> tuple[str, str, str]:
    """Hall symbol, Hermann-Mauguin symbol and number of the space group; empty if left out.

    Raises:
        BadCrystal: Under two data names they are of different space groups.
    """
    hall = _one(tags, _HALL, _group_of_hall)
    hm = _one(tags, _HM, _group_of_name, lambda name: symbol_and_setting(name)[1] or None)
    return hall, hm, _one(tags, _NUMBER, lambda text: int(text[:9]) if text.isdecimal() else None)


def symbol_and_setting(hm: str) -> tuple[str, str]:
    """`P 21/c` of `P2(1)/c` or `P 2_1/c`; `F d -3 m` and `2` of `F d -3 m :2` or of ICSD's `F d -3 m Z`."""
    symbol = re.sub(r"\((\d)\)", r"\1", hm).replace("_", "").strip()
    found = re.fullmatch(r"(.*?)\s*:\s*([12HRhr])|(.*[^\s]) ?([SZHR])", symbol)
    if found is None:
        return symbol, ""
    setting = (found[2] or found[4]).upper()
    return found[1] or found[3], {"S": "1", "Z": "2"}.get(setting, setting)


def operators(tags: Tags, text: str) -> tuple[str, ...]:
    """The ordinary operators; those of a magnetic group are ordinary ones without their reversal of time.

    Raises:
        BadCrystal: One cannot be read, there are too many, or two lists differ.
    """
    lists = {tag: [value for value in tags.get(tag, []) if value not in MISSING] for tag in _OPERATORS}
    found = {tag: _checked(listed, text) for tag, listed in lists.items() if listed}
    if len(found) > 1 and len(set(map(_canonical, found.values()))) > 1:
        said = " and ".join(f"{len(listed)} operators under {tag}" for tag, listed in found.items())
        raise BadCrystal(f"contradictory: the file lists {said}, and they differ")
    if found:
        return next(iter(found.values()))
    magnetic, centring = ([_without_time(value) for value in tags.get(tag, [])] for tag in _MAGNETIC)
    if not magnetic:
        return ()
    group = [gemmi.Op(operator) for operator in _checked(magnetic, text)]
    shifts = [gemmi.Op(operator) for operator in _checked(centring or ["x,y,z"], text)]
    return tuple(dict.fromkeys((shift * operator).wrap().triplet() for shift in shifts for operator in group))


def _one(tags: Tags, names: tuple[str, ...], *meanings: Callable[[str], object]) -> str:
    """The first value that is given under one of several names; what others mean must be the same where it is known."""
    given = {name: value for name in names if (value := first(tags, (name,)))}
    for meaning in meanings:
        known = {name: meaning(value) for name, value in given.items()}
        known = {name: value for name, value in known.items() if value is not None}
        if len(set(known.values())) > 1:
            said = " and ".join(f"{given[name]} under {name}" for name in known)
            raise BadCrystal(f"contradictory: the space group is {said}")
    return next(iter(given.values()), "")


def _group_of_name(name: str) -> int | None:
    group = gemmi.find_spacegroup_by_name(symbol_and_setting(name)[0])
    return group.number if group else None


def _group_of_hall(hall: str) -> int | None:
    try:
        group = gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(hall.replace("_", " ")))
    except (RuntimeError, ValueError):
        return None
    return group.number if group else None


def _canonical(listed: tuple[str, ...]) -> frozenset[str]:
    try:
        return frozenset(gemmi.Op(operator).wrap().triplet() for operator in listed)
    except RuntimeError as error:
        raise BadCrystal(f"unreadable: gemmi reads no such operator: {error}") from None


def _without_time(operator: str) -> str:
    return ",".join(operator.split(",")[:3])


def _checked(listed: list[str], text: str) -> tuple[str, ...]:
    if len(listed) > MAX_OPERATORS:
        raise BadCrystal(f"too large: the file lists {len(listed)} operators, the limit is {MAX_OPERATORS}")
    for operator in listed:
        if not _is_operator(operator):
            where = line_of(text, operator)
            raise BadCrystal(f"unreadable: '{operator[:40]}' in {where} is no symmetry operator such as -x,y+1/2,-z")
    return tuple("".join(operator.split()).lower() for operator in listed)


@lru_cache(maxsize=10_000)
def _is_operator(text: str) -> bool:
    return len(text) <= MAX_OPERATOR and _OPERATOR.fullmatch("".join(text.split()).lower()) is not None
