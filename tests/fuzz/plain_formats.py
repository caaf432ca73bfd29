"""POSCAR, extended XYZ and pymatgen JSON in many spellings."""

import json

import numpy as np
from numpy.random import Generator

from sitenet.data.crystal import Crystal
from sitenet.settings.elements import SYMBOLS
from tests.own_files import structure

MODES = {True: ["Cartesian", "cart", "C", "k", "Kartesisch", "  cartesian coordinates"]}
MODES[False] = ["Direct", "direct", "D", "Fractional", " d", "direct ! remark"]
SELECTIVE = ["Selective dynamics", "selective", "S", " sel. dyn.", "SELECTIVE DYNAMICS"]
FLAGS = ["T T T", "F F F", "T F T", ".TRUE. .FALSE. .TRUE.", "t f t"]


def poscar(crystal: Crystal, rng: Generator) -> tuple[str, str]:
    """Name and content of a POSCAR."""
    cartesian, selective, old = bool(rng.random() < 0.5), bool(rng.random() < 0.4), bool(rng.random() < 0.25)
    order = np.argsort(crystal.atomic_numbers, kind="stable")
    numbers, coords = crystal.atomic_numbers[order], crystal.frac_coords[order]
    kinds, counts = np.unique(numbers, return_counts=True)
    symbols = [SYMBOLS[kind - 1] for kind in kinds]
    factors, scale = _scale(crystal, rng)
    rows = (coords @ crystal.lattice / factors if cartesian else coords).tolist()
    in_first, behind = old and bool(rng.random() < 0.5), bool(rng.random() < 0.3)
    lines = [" ".join(symbols) if in_first else str(rng.choice(["a crystal", "", "C structure", "Müller's"])), scale]
    lines += [_row(vector, rng) for vector in (crystal.lattice / factors).tolist()]
    if not old:
        lines.append("  ".join(symbol + str(rng.choice(["", "", "_pv", "/0f7a"])) for symbol in symbols))
    lines.append(" ".join(map(str, counts)) + str(rng.choice(["", " ! counts", "   "])))
    lines += [str(rng.choice(SELECTIVE))] * selective + [str(rng.choice(MODES[cartesian]))]
    for row, number in zip(rows, numbers, strict=True):
        flags = f" {rng.choice(FLAGS)}" if selective else ""
        symbol = f" {SYMBOLS[number - 1]}" if behind or (old and not in_first) else ""
        lines.append(_row(row, rng) + flags + symbol)
    if rng.random() < 0.2:
        lines += ["", *["0.0 0.0 0.0"] * len(rows)]  # velocities
    return str(rng.choice(["POSCAR", "CONTCAR.relaxed", "x.vasp", "x.poscar"])), "\n".join(lines) + "\n"


def _scale(crystal: Crystal, rng: Generator) -> tuple[np.ndarray, str]:
    kind = rng.integers(4)
    if kind == 0:
        return np.ones(3), str(rng.choice(["1.0", "1", " 1.0000 ! scale", "1.0D0"]))
    if kind == 1:
        factors = rng.uniform(0.5, 4, 3)
        return factors, " ".join(map(repr, factors.tolist()))
    factor = float(rng.uniform(0.5, 4))
    if kind == 2:
        return np.full(3, factor), repr(factor)
    return np.full(3, factor), repr(-float(abs(np.linalg.det(crystal.lattice))))


def _row(values: list[float], rng: Generator) -> str:
    separator = str(rng.choice([" ", "   ", "\t"]))
    style = rng.integers(3)
    if style == 0:
        return separator.join(f"{value:.14f}" for value in values)
    if style == 1:
        return separator + separator.join(f"{value:.15e}" for value in values)
    return "  " + separator.join(f"{value:.15E}".replace("E", "D") for value in values)


def extxyz(crystal: Crystal, rng: Generator) -> tuple[str, str]:
    """Name and content of an extended XYZ file."""
    opening, closing = (('"', '"'), ("'", "'"), ("{", "}"), ("[", "]"))[rng.integers(4)]
    matrix = f"Lattice={opening}{' '.join(map(repr, crystal.lattice.ravel().tolist()))}{closing}"
    positions = crystal.frac_coords @ crystal.lattice
    columns = {"pos:R:3": [" ".join(f"{value:.13f}" for value in row) for row in positions.tolist()]}
    species = [SYMBOLS[number - 1] for number in crystal.atomic_numbers]
    which = rng.integers(3)
    if which != 1:
        columns["species:S:1"] = species
    if which != 0:
        columns["Z:I:1"] = [str(number) for number in crystal.atomic_numbers]
    if rng.random() < 0.4:
        columns["forces:R:3"] = ["0.1 -0.2 0.3"] * len(species)
    if rng.random() < 0.2:
        columns["tag:S:1"] = ["Na"] * len(species)
    names = list(columns)
    if which != 0 or rng.random() < 0.3:
        rng.shuffle(names)
    else:
        names.sort(key=lambda name: (name[0] != "s", name[0] != "p"))
    keys = [matrix, f"Properties={':'.join(names)}"]
    keys += [str(rng.choice(['pbc="T T T"', "pbc=[T, T, T]", "pbc='1 1 1'", "pbc={T T T}"]))] * int(rng.integers(2))
    keys += [str(rng.choice(["energy=-1.5", 'comment="Lattice is fine"', 'input.Lattice="9 0 0 0 9 0 0 0 9"', "flag"]))]
    rng.shuffle(keys)
    rows = [" ".join(columns[name][n] for name in names) for n in range(len(species))]
    return str(rng.choice(["x.xyz", "x.extxyz", "X.XYZ"])), "\n".join([str(len(rows)), " ".join(keys), *rows]) + "\n"


def pymatgen_json(crystal: Crystal, rng: Generator) -> tuple[str, str]:
    """Name and content of a pymatgen structure in JSON."""
    values = structure(crystal).as_dict()
    if rng.random() < 0.3:
        del values["lattice"]["matrix"]
    if rng.random() < 0.3:
        values["lattice"].pop("pbc", None)
    if rng.random() < 0.3:
        for site in values["sites"]:
            site["species"][0]["occu"] = 1 - 1e-4 * rng.random()
    if rng.random() < 0.3:
        values["note"] = {"ids": ["=1+1", "\x1b[31mred"]}
    return "x.json", json.dumps(values, indent=int(rng.integers(3)) or None, ensure_ascii=bool(rng.integers(2)))
