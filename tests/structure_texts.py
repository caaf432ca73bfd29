"""Files of a few real crystals, each written in one plain way, for tests to change."""

from collections import Counter

import gemmi
from pymatgen.core import Structure

from sitenet.data.crystal import Crystal
from sitenet.data.structures.parse import parse_structure
from sitenet.settings.elements import SYMBOLS

ROCK_SALT_SITES = [("Na1", "Na", "0 0 0"), ("Cl1", "Cl", "0.5 0.5 0.5")]
ZIRCONIA_CELL = (5.1505, 5.2116, 5.3173, 90, 99.23, 90)  # baddeleyite
ZIRCONIA_SITES = [
    ("Zr1", "Zr", "0.2754 0.0395 0.2083"),
    ("O1", "O", "0.0700 0.3317 0.3447"),
    ("O2", "O", "0.4496 0.7569 0.4792"),
]
BISMUTH_CELL = (4.746, 4.746, 4.746, 57.23, 57.23, 57.23)
IRON_SITES = [("Fe1", "Fe", "0 0 0"), ("Fe2", "Fe", "0.5 0.5 0.5")]
POLONIUM = [("Po1", "Po", "0 0 0")]


def cubic(a: float) -> tuple[float, ...]:
    return (a, a, a, 90, 90, 90)


def cif(
    cell: tuple[float, ...],
    sites: list[tuple[str, str, str]],
    *lines: str,
    columns: tuple[str, ...] = (),
    types: bool = True,
) -> str:
    """A CIF file; `sites` are label, type symbol and coordinates, with the values of more columns behind them."""
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    parameters = [f"_cell_{name} {value}" for name, value in zip(names, cell, strict=True)]
    header = ["label", *(["type_symbol"] if types else []), "fract_x", "fract_y", "fract_z", *columns]
    rows = [" ".join([label, symbol, rest] if types else [label, rest]) for label, symbol, rest in sites]
    loop = ["loop_", *(f"_atom_site_{name}" for name in header), *rows]
    return "\n".join(["data_x", *parameters, *lines, *loop]) + "\n"


def operators(group: str) -> str:
    """The operators of a space group as a loop."""
    found = gemmi.find_spacegroup_by_name(group).operations()
    return "\n".join(["loop_", "_symmetry_equiv_pos_as_xyz", *(f"'{op.triplet()}'" for op in found)])


def rock_salt(*lines: str, **options: tuple[str, ...]) -> str:
    """Two sites of rock salt in its cubic cell."""
    return cif(cubic(5.64), ROCK_SALT_SITES, *lines, **options)  # type: ignore[arg-type]


def poscar(*rows: str, scale: str = "1.0", head: str = "salt", symbols: str = "Na Cl", counts: str = "1 1") -> str:
    """A POSCAR of two sites in an orthorhombic cell."""
    above = [symbols] if symbols else []
    return "\n".join([head, scale, "4.0 0 0", "0 4.2 0", "0 0 4.4", *above, counts, *rows]) + "\n"


DIRECT = ("Direct", "0 0 0", "0.5 0.5 0.5")
CELL = "4.0 0.0 0.0 0.0 4.2 0.0 0.0 0.0 4.4"


def extxyz(comment: str, *rows: str) -> str:
    """A frame of extended XYZ."""
    rows = rows or ("Na 0 0 0", "Cl 2.0 2.1 2.2")
    return "\n".join([str(len(rows)), comment, *rows]) + "\n"


SALT = "Cl4 Na4"
H_M = "_symmetry_space_group_name_H-M"
FORMULA, Z = "_chemical_formula_sum 'Cl Na'", "_cell_formula_units_Z"
EIGHT_SITES = [
    (f"{symbol}{n}", symbol, place)
    for symbol, places in {
        "Na": ("0 0 0", "0 0.5 0.5", "0.5 0 0.5", "0.5 0.5 0"),
        "Cl": ("0.5 0.5 0.5", "0.5 0 0", "0 0.5 0", "0 0 0.5"),
    }.items()
    for n, place in enumerate(places)
]
EIGHT = cif(cubic(5.64), EIGHT_SITES, FORMULA)


def read(name: str, content: str | bytes) -> Crystal:
    return parse_structure("x", name, content.encode() if isinstance(content, str) else content)


def composition(crystal: Crystal) -> str:
    counts = Counter(SYMBOLS[number - 1] for number in crystal.atomic_numbers)
    return " ".join(f"{symbol}{counts[symbol]}" for symbol in sorted(counts))


def shortest(crystal: Crystal) -> float:
    distances = Structure(crystal.lattice, crystal.atomic_numbers.tolist(), crystal.frac_coords).distance_matrix
    return float(distances[distances > 0].min())
