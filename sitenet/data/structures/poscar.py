"""POSCAR files, read by ASE and by pymatgen."""

import io
import re
import warnings
from itertools import groupby

import numpy as np
from ase.io.vasp import read_vasp_configuration
from numpy.typing import NDArray
from pymatgen.io.vasp import Poscar

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.structures.agreement import Sites, agreed
from sitenet.data.structures.species import element_of_type
from sitenet.data.structures.text import number
from sitenet.settings.elements import SYMBOLS

MAX_SITES = 20_000


def read_poscar(id_: str, text: str) -> Crystal:
    """Reads a POSCAR of any version: with symbols above the counts, in the first line (VASP 4) or behind the sites.

    Remarks are cut off, and numbers and symbols checked, before ASE and pymatgen read the rest.

    Raises:
        BadCrystal: It is no POSCAR, says two things, or the two read it as different structures.
    """
    lines = text.splitlines()
    if len(lines) < 8:
        raise BadCrystal(f"unreadable: a POSCAR has 8 lines or more, this file {len(lines)}")
    scale = _scale(lines)
    vectors = np.array([_numbers(lines, row) for row in (2, 3, 4)])
    symbols, counts, start = _symbols_and_counts(lines)
    cartesian, selective = _mode(lines[start : start + 2], start)
    first, n_sites = start + 1 + selective, sum(counts)
    if n_sites > MAX_SITES:
        raise BadCrystal(f"too large: {n_sites} sites are announced, the limit is {MAX_SITES}")
    if n_sites == 0 or len(lines) < first + n_sites:
        raise BadCrystal(f"unreadable: {n_sites} sites are announced, {max(len(lines) - first, 0)} lines follow")
    sites = np.array([_numbers(lines, row) for row in range(first, first + n_sites)])
    if _is_a_site(lines[first + n_sites : first + n_sites + 1]):
        raise BadCrystal(f"contradictory: {n_sites} sites are announced, more lines of coordinates follow")
    behind = _symbols_behind([line.split()[3 + 3 * selective :] for line in lines[first : first + n_sites]])
    atomic_numbers = [element_of_type(name) for name in _names(symbols, counts, behind)]
    names = [SYMBOLS[number - 1] for number in atomic_numbers]
    factors = _factors(scale, vectors)
    if np.linalg.det(vectors) < 0:  # ASE takes a volume to be that of a right-handed cell
        scale = factors.tolist()
    by_ase = _by_ase(_canonical(scale, vectors, names, sites, cartesian))
    by_pymatgen = _by_pymatgen(
        _canonical([1.0], vectors * factors, names, sites * factors if cartesian else sites, cartesian)
    )
    for read in (by_ase, by_pymatgen):
        if not np.array_equal(read.atomic_numbers, atomic_numbers):
            raise BadCrystal("undecided: the readers see other elements than the file names")
    return agreed(id_, "ASE", by_ase, "pymatgen", by_pymatgen)


def _is_a_site(lines: list[str]) -> bool:
    """Whether the next line begins with three numbers; velocities come behind a blank line, or one with their mode."""
    values = lines[0].split()[:3] if lines else []
    try:
        return len([float(value) for value in values]) == 3
    except ValueError:
        return False


def _mode(lines: list[str], row: int) -> tuple[bool, bool]:
    """Whether coordinates are Cartesian, and whether selective dynamics is on, by first letters as VASP goes."""
    letters = [line.strip()[:1].lower() for line in lines]
    selective = letters[:1] == ["s"]
    mode = letters[selective : selective + 1]
    if not mode or not mode[0].isalpha():
        raise BadCrystal(f"unreadable: line {row + 1 + selective} says neither Direct nor Cartesian")
    return mode[0] in "ck", selective


def _numbers(lines: list[str], row: int, how_many: int = 3) -> list[float]:
    """The numbers that a line begins with; what follows is a remark."""
    tokens = _before_remarks(lines[row])[:how_many]
    if len(tokens) < how_many:
        raise BadCrystal(f"unreadable: line {row + 1} has {len(tokens)} numbers, not {how_many}")
    return [number(token, f"line {row + 1}") for token in tokens]


def _before_remarks(line: str) -> list[str]:
    return re.split("[!#]", line)[0].split()


def _scale(lines: list[str]) -> list[float]:
    """One factor, or three if more than words follow the first."""
    more = _before_remarks(lines[1])[1:3]
    return _numbers(lines, 1, 3 if any(token[:1] in "+-.0123456789" for token in more) else 1)


def _symbols_and_counts(lines: list[str]) -> tuple[list[str], list[int], int]:
    """Symbols (none in VASP 4), counts, and the row behind them; VASP breaks long lists into several lines."""
    rows = [_before_remarks(line) for line in lines[5:25]]
    n_symbols = next((n for n, row in enumerate(rows) if row and row[0].isdecimal()), None)
    if n_symbols is None:
        raise BadCrystal("unreadable: no line of whole numbers says how many sites there are")
    symbols = [token.split("/")[0].split("_")[0] for row in rows[:n_symbols] for token in row]
    n_counts = max(n_symbols, 1)
    counts = []
    for row in rows[n_symbols : n_symbols + n_counts]:
        if not all(token.isascii() and token.isdecimal() and len(token) < 7 for token in row):
            raise BadCrystal(f"unreadable: '{' '.join(row)[:40]}' are no numbers of sites")
        counts += [int(token) for token in row]
    if n_symbols == 0:
        words = lines[0].split()
        symbols = words if len(words) == len(counts) and all(map(_is_symbol, words)) else []
    elif len(symbols) != len(counts):
        raise BadCrystal(f"unreadable: {len(symbols)} symbols and {len(counts)} numbers of sites")
    return symbols, counts, 5 + n_symbols + n_counts


def _is_symbol(word: str) -> bool:
    try:
        element_of_type(word)
    except BadCrystal:
        return False
    return word.isalpha() and word == word.capitalize()


def _symbols_behind(rests: list[list[str]]) -> list[str]:
    """Symbols behind the coordinates, none unless every site has one; `F F F` are flags that nothing announces."""
    symbols = [rest[0] for rest in rests if rest and _is_symbol(rest[0]) and not _are_flags(rest[:3])]
    return symbols if len(symbols) == len(rests) else []


def _are_flags(words: list[str]) -> bool:
    return len(words) == 3 and {*words} <= {"T", "F"}


def _names(symbols: list[str], counts: list[int], behind: list[str]) -> list[str]:
    names = [symbol for symbol, count in zip(symbols, counts, strict=False) for _ in range(count)]
    if not names and not behind:
        raise BadCrystal("unreadable: no symbols say what the elements are, neither above the counts nor in line 1")
    if names and behind and names != behind:
        row = next(n for n, (one, other) in enumerate(zip(names, behind, strict=True)) if one != other)
        raise BadCrystal(f"contradictory: site {row} is {names[row]}, the symbol behind it says {behind[row]}")
    return names or behind


def _factors(scale: list[float], vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3,) factors of the Cartesian components; a negative scale is the volume of the cell."""
    if len(scale) == 1 and scale[0] < 0:
        volume = abs(np.linalg.det(vectors))
        if not volume > 0:
            raise BadCrystal("unreadable: the cell has no volume")
        return np.full(3, (-scale[0] / volume) ** (1 / 3))
    if not min(scale) > 0:
        raise BadCrystal(f"unreadable: line 2: the scale {' '.join(f'{value:g}' for value in scale)} is not positive")
    return np.broadcast_to(scale, 3).astype(float)


def _canonical(
    scale: list[float], vectors: NDArray[np.float64], names: list[str], sites: NDArray[np.float64], cartesian: bool
) -> str:
    """A POSCAR of VASP 5 without remarks."""
    runs = [(name, len(list(run))) for name, run in groupby(names)]
    rows = [" ".join(map(repr, row)) for row in (*vectors.tolist(), *sites.tolist())]
    symbols, counts = (" ".join(str(run[part]) for run in runs) for part in (0, 1))
    head = ["structure", " ".join(map(repr, scale)), *rows[:3], symbols, counts]
    return "\n".join([*head, "Cartesian" if cartesian else "Direct", *rows[3:]]) + "\n"


def _by_ase(text: str) -> Sites:
    atoms = read_vasp_configuration(io.StringIO(text))
    return Sites(np.array(atoms.cell), atoms.numbers, atoms.get_scaled_positions(wrap=False))


def _by_pymatgen(text: str) -> Sites:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of selective dynamics, which was left out above
        structure = Poscar.from_str(text, read_velocities=False).structure
    return Sites(np.array(structure.lattice.matrix), np.array(structure.atomic_numbers), structure.frac_coords)
