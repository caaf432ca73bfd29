"""Files in every format and encoding that describe a known crystal."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass

from numpy.random import Generator

from sitenet.data.crystal import Crystal
from tests.fuzz.cif_format import as_it_is, cif, in_setting
from tests.fuzz.crystals import Known, redescribed
from tests.fuzz.plain_formats import extxyz, poscar, pymatgen_json

EXACT, ROUNDED = 1e-5, 5e-3  # angstrom: what distances may differ by, in files with all digits and with seven


@dataclass(frozen=True)
class Variant:
    """One file.

    Attributes:
        known: The crystal that it describes.
        name, content: The file.
        tolerance: In angstrom, of its distances.
        changes: What makes it unlike the plain one.
    """

    known: Known
    name: str
    content: bytes
    tolerance: float
    changes: tuple[str, ...]


PLAIN: dict[str, Callable[[Crystal, Generator], tuple[str, str]]] = {
    "poscar": poscar,
    "extxyz": extxyz,
    "json": pymatgen_json,
}


def variant(known: Known, rng: Generator, stated: bool) -> Variant:
    """A random file of a crystal; formula and Z are stated first in all CIF files, or in some."""
    stated = stated or bool(rng.random() < 0.7)
    crystal, changes = redescribed(known.crystal, rng)
    kind = str(rng.choice(["poscar", "extxyz", "json", "cif", "cif in a setting", "cif in a setting"]))
    if kind in PLAIN:
        name, text = PLAIN[kind](crystal, rng)
        tolerance = EXACT
    elif kind == "cif":
        name, text = cif(as_it_is(crystal), rng, stated)
        tolerance = ROUNDED
    else:
        changes = []
        name, text = cif(in_setting(known.crystal, rng), rng, stated)
        tolerance = ROUNDED
    name, content, encoding = encoded(name, text, rng)
    return Variant(known, name, content, tolerance, (kind, *changes, encoding))


def encoded(name: str, text: str, rng: Generator) -> tuple[str, bytes, str]:
    """A text as bytes in a random encoding, with random line ends, packed or not."""
    line_end = {0: "\r\n", 1: "\r"}.get(int(rng.integers(6)), "\n")
    encoding = str(rng.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1"]))
    content = text.replace("\n", line_end).encode(encoding)
    if rng.random() < 0.15:
        return f"{name}.gz", gzip.compress(content, 1), f"{encoding}, gzip"
    return name, content, encoding
