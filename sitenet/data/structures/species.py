"""Elements and formulas as files spell them; what may be two things is none."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pymatgen.core import Composition

from sitenet.data.crystal import BadCrystal
from sitenet.data.structures.pymatgen_json import FULL
from sitenet.settings.elements import SYMBOLS

Formula = Mapping[int, float]  # amounts by atomic number
MAX_FORMULA, MAX_SYMBOL = 500, 100  # characters
_ATOMIC_NUMBERS = {symbol: number for number, symbol in enumerate(SYMBOLS, start=1)} | {"D": 1}
_SINGLE = {symbol for symbol in SYMBOLS if len(symbol) == 1}
# Upper-case symbols that also name what a group of atoms is, such as hydroxyl or cyanide.
_GROUPS = {"HO", "HF", "HS", "CN", "CO", "NO", "PO"}
_TYPE = re.compile(r"([A-Za-z]+)\d*(\.\d+)?[+-]?\d*(\.\d+)?")  # Fe, Fe3+, Fe+3, Fe1
_LABEL = re.compile(r"([A-Za-z]+)([^A-Za-z].*)?", re.DOTALL)  # Fe, Fe1, Fe1A, Fe(1)


def element_of_type(symbol: str, formula: Formula | None = None) -> int:
    """The atomic number of a type symbol: an element, with a charge or a number if wanted.

    Args:
        symbol: As the file has it; in upper case (`FE`) it must not be the name of a group (`HO`).
        formula: Of the crystal, which decides what `HO` is.

    Raises:
        BadCrystal: It is no element.
    """
    match = _TYPE.fullmatch(symbol[:MAX_SYMBOL])
    return _element(match[1] if match else symbol, symbol, formula, _GROUPS)


def element_of_label(label: str, formula: Formula | None = None) -> int:
    """The atomic number of a label without a type symbol: its first letters are an element.

    In upper case, `CA1` may be calcium or a carbon atom: only a formula can say that it is calcium.

    Raises:
        BadCrystal: It is no element, or may be two.
    """
    match = _LABEL.fullmatch(label[:MAX_SYMBOL])
    letters = match[1] if match else label
    return _element(letters, label, formula, {letters} if letters[:1] in _SINGLE else _GROUPS)


def _element(letters: str, symbol: str, formula: Formula | None, ambiguous: set[str]) -> int:
    spelt = letters.capitalize()
    if spelt not in _ATOMIC_NUMBERS or (letters != spelt and len(letters) == 2 and letters != letters.upper()):
        raise BadCrystal(f"unknown element: '{symbol[:40]}' names no element")
    number = _ATOMIC_NUMBERS[spelt]
    if letters != spelt and letters in ambiguous and (formula is None or number not in formula):
        raise BadCrystal(f"unknown element: '{symbol[:40]}' may be {spelt} or a group of atoms")
    return number


def check_occupancy(occupancy: Any) -> None:
    """Refuses partial occupancies, which ASE keeps beside its atoms: {"0": {"Cu": 0.5, "Au": 0.5}}, full ones too.

    Raises:
        BadCrystal: A kind of sites holds several elements, or one in part.
    """
    for amounts in occupancy.values() if isinstance(occupancy, Mapping) else ():
        if len(amounts) != 1 or any(not abs(float(amount) - 1) <= FULL for amount in amounts.values()):
            found = ", ".join(f"{symbol} {amount:g}" for symbol, amount in amounts.items())
            raise BadCrystal(f"disordered: a site holds {found}")


@lru_cache(maxsize=10_000)
def parse_formula(text: str) -> Formula | None:
    """A sum formula such as `C2 H6 O`, `Ca (C O3)` or `NaCl`, deuterium as hydrogen; None if it is none."""
    if len(text) > MAX_FORMULA:
        return None
    formula: dict[int, float] = {}
    try:
        for element, amount in Composition(" ".join(text.split())).items():
            number = _ATOMIC_NUMBERS[element.symbol]
            formula[number] = formula.get(number, 0) + amount
    except (ValueError, KeyError):
        return None
    return formula or None


def decimals(formula: str) -> int:
    """Most decimal places of the numbers in a formula."""
    return max((len(places) for places in re.findall(r"\.(\d+)", formula)), default=0)
