"""Damage to files: what is left says the same, or contradicts itself, or is no structure."""

import gzip
import re
from collections.abc import Callable
from dataclasses import replace

from numpy.random import Generator

from tests.fuzz.variants import Variant

# Among them a half as one character, a wide digit and a typographic minus.
NO_NUMBERS = ["nan", "inf", "1_0", "--1", "1e", "\u00bd", "\uff11", "\u22120.5", "0,5", "x", "1" * 400, "1e999"]
NO_NUMBERS += ["\x1b[2J", "=1+1"]
JUNK = ["data_", "loop_", ";", "'", "_x", "0 0 0", "[" * 50_000, "\n" * 20_000, "#", "\x1b]0;x\x07", '"', "1" * 5000]
OPERATOR = r"\n(?:\d+ )?'[^'\n]*,[^'\n]*,[^'\n]*'(?=\n)"


def mutation(file: Variant, rng: Generator) -> Variant:
    """The file with one random damage; JSON, POSCAR and XYZ say little twice and take fewer kinds."""
    content = gzip.decompress(file.content) if file.name.endswith(".gz") else file.content
    encoding = file.changes[-1].split(",")[0]
    text = content.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    is_cif = ".cif" in file.name.lower() or ".mcif" in file.name.lower()
    kinds = {**ANY, **(CIF if is_cif else LISTS)}
    kind = str(rng.choice(list(kinds)))
    damaged = kinds[kind](text, rng)
    name = file.name.removesuffix(".gz")
    if rng.random() < 0.02:
        name = "\x1b[31m" + name
    return replace(file, name=name, content=damaged.encode("utf-8"), changes=(*file.changes, kind))


def _cut_at_a_line(text: str, rng: Generator) -> str:
    lines = text.splitlines()
    return "\n".join(lines[: rng.integers(len(lines))]) + "\n"


def _without_a_line(text: str, rng: Generator) -> str:
    lines = text.splitlines()
    del lines[rng.integers(len(lines))]
    return "\n".join(lines) + "\n"


def _no_number(text: str, rng: Generator) -> str:
    """Some number becomes what is none."""
    found = list(re.finditer(r"(?<![\w.+-])-?\d+\.\d+(?![\w.])", text))
    if not found:
        return ""
    match = found[rng.integers(len(found))]
    return text[: match.start()] + str(rng.choice(NO_NUMBERS)) + text[match.end() :]


def _inserted_line(text: str, rng: Generator) -> str:
    lines = text.splitlines()
    lines.insert(int(rng.integers(len(lines) + 1)), str(rng.choice(JUNK)))
    return "\n".join(lines) + "\n"


def _other_letters(text: str, rng: Generator) -> str:
    """Letters and signs of one line that are no part of numbers become others."""
    lines = text.splitlines()
    row = int(rng.integers(len(lines)))
    characters = list(lines[row])
    places = [n for n, c in enumerate(characters) if not (c.isdigit() or c in "+-.eEdDxyzXYZ/, \t()!")]
    for place in rng.choice(places, size=min(len(places), int(rng.integers(1, 4))), replace=False) if places else []:
        characters[place] = str(rng.choice(list("#'\";_$?ßQq~")))
    lines[row] = "".join(characters)
    return "\n".join(lines) + "\n"


def _swapped(text: str, rng: Generator) -> str:
    """Two lines change places, but not two names of columns: that makes another crystal."""
    lines = text.splitlines()
    a, b = rng.integers(len(lines), size=2)
    if not (lines[a].startswith("_atom") and lines[b].startswith("_atom")):
        lines[a], lines[b] = lines[b], lines[a]
    return "\n".join(lines) + "\n"


def _twice(text: str, rng: Generator) -> str:
    return text + text


def _line_twice(text: str, rng: Generator) -> str:
    lines = text.splitlines()
    row = int(rng.integers(len(lines)))
    lines.insert(row, lines[row])
    return "\n".join(lines) + "\n"


def _changed(pattern: str, *others: str) -> Callable[[str, Generator], str]:
    """Replaces what a pattern finds, its group 1 kept before it."""

    def change(text: str, rng: Generator) -> str:
        other = str(rng.choice(others))
        return re.sub(pattern, lambda match: (match[1] if match.groups() else "") + other, text, count=1)

    return change


ANY: dict[str, Callable[[str, Generator], str]] = {"no number": _no_number, "twice": _twice}
CIF: dict[str, Callable[[str, Generator], str]] = {
    "cut at a line": _cut_at_a_line,
    "line twice": _line_twice,
    "inserted line": _inserted_line,
    "other letters": _other_letters,
    "without a line": _without_a_line,
    "swapped lines": _swapped,
    "other Z": _changed(r"(_cell_formula_units_Z )\d+", "7", "0", "?", "1000000", "x"),
    "other formula": _changed(r"(_chemical_formula_sum )'[^']*'", "'C60 H1'", "'salt'", "?", "'=1+1'", "'Vac2'"),
    "only the identity": _changed(r"(_(?:xyz|XYZ)\n)(?:[^\n]*,[^\n]*,[^\n]*\n)+", "'x,y,z'\n", "'-x,-y,-z'\n", ""),
    "an operator less": _changed(OPERATOR, ""),
    "a strange operator": _changed(OPERATOR, "\n'x,y'", "\n'\u2212x,y,z'", "\n'2x,y,z'"),
    "no space group": _changed(r"(_name_H(?:-M|all)(?:_alt)? ).*", "'P 0'", "'X m 9'", "?"),
    "dummy": _changed(r"(\n)[A-Z][a-z]?1 ", "Vac1 ", "T1 ", "HO1 ", "Wat1 "),
    "part of a site": _changed(r" (?:1\.00\(2\)|0\.9999)(?=[ \n])", " 0.5", " 0.0", " nan", " -1"),
}
LISTS: dict[str, Callable[[str, Generator], str]] = {
    "not periodic": _changed(r'pbc=\S+(?: \S+ \S+)?|"pbc": \[[^]]*\]', 'pbc="T T F"', '"pbc": [true, true, false]'),
    "nested": _changed(r"^", "[" * 100_000, '{"a":' * 50_000, "[" * 900),
    "a long number": _changed(r"^(\s*)\d+(?=\n)", "9" * 400, "0", "1_0"),
    "no element": _changed(r"(\n|\"element\": *\")[A-Z][a-z]?(?=[ \"])", "Vac", "X", "Q", "\x1b[1m"),
}
