"""Extended XYZ: one frame with a cell, read by ASE; pymatgen, which knows no cell in XYZ, reads its sites."""

import io
import re

import numpy as np
from ase.io.extxyz import key_val_str_to_dict, read_xyz
from numpy.typing import NDArray
from pymatgen.core import Element
from pymatgen.io.xyz import XYZ

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.structures.agreement import Sites, agreed
from sitenet.data.structures.species import check_occupancy, element_of_type
from sitenet.data.structures.text import number

MAX_SITES = 20_000
_QUOTED = r"""(?:"([^"]*)"|'([^']*)'|\{([^}]*)\}|\[([^]]*)\])"""
_LATTICE = re.compile(rf"""(?<!\S)["']?Lattice["']?\s*=\s*{_QUOTED}""")


def read_extxyz(id_: str, text: str) -> Crystal:
    """Reads one frame: number of sites, `Lattice="..." Properties=...`, one line a site.

    Raises:
        BadCrystal: It is something else, has no cell or one that is not periodic, or the readers see different sites.
    """
    lines = text.strip().splitlines()
    if len(lines) < 3 or not lines[0].strip().isdecimal() or len(lines[0].strip()) > 6:
        raise BadCrystal("unreadable: extended XYZ begins with the number of sites and a line of properties")
    n_sites = int(lines[0])
    if n_sites > MAX_SITES:
        raise BadCrystal(f"too large: {n_sites} sites are announced, the limit is {MAX_SITES}")
    if len(lines) != n_sites + 2:
        raise BadCrystal(f"unreadable: {n_sites} sites are announced, {len(lines) - 2} lines follow")
    if len(lines[1]) > 100_000:
        raise BadCrystal("too large: the second line has more than 100,000 characters")
    lattice = _lattice(lines[1])
    info = key_val_str_to_dict(lines[1])
    periodic = np.asarray(info.get("pbc", True))
    if periodic.dtype.kind not in "bi" or periodic.size not in (1, 3):
        raise BadCrystal(f"unreadable: pbc is '{info['pbc']}', neither true nor false three times")
    if not periodic.all():
        raise BadCrystal(f"not periodic: pbc is {info['pbc']}")
    check_occupancy(info.get("occupancy"))
    numbers, positions = _columns(lines, str(info.get("Properties", "species:S:1:pos:R:3")))
    (atoms,) = read_xyz(io.StringIO("\n".join(lines) + "\n"), index=slice(0, 1))
    by_ase = Sites(np.array(atoms.cell), atoms.numbers, atoms.get_scaled_positions(wrap=False))
    if not np.array_equal(by_ase.atomic_numbers, numbers):
        raise BadCrystal("undecided: ASE sees other elements than the file names")
    rows = [f"{Element.from_Z(n).symbol} {' '.join(row)}" for n, row in zip(numbers, positions, strict=True)]
    molecule = XYZ.from_str("\n".join([str(n_sites), "sites", *rows]) + "\n").molecule
    frac_coords = molecule.cart_coords @ np.linalg.inv(lattice)
    by_pymatgen = Sites(lattice, np.array(molecule.atomic_numbers), frac_coords)
    return agreed(id_, "ASE", by_ase, "pymatgen", by_pymatgen)


def _lattice(properties: str) -> NDArray[np.float64]:
    """(3, 3) lattice vectors, as ASE should read them."""
    found = _LATTICE.findall(properties)
    if len(found) != 1:
        raise BadCrystal('unreadable: the second line has no Lattice="...", or several')
    values = [number(value, "Lattice in line 2") for value in re.split(r"[\s,]+", "".join(found[0]).strip())]
    if len(values) != 9:
        raise BadCrystal(f"unreadable: Lattice in line 2 has {len(values)} numbers, not 9")
    matrix = np.array(values).reshape(3, 3)
    if abs(np.linalg.det(matrix)) < 1e-3:
        raise BadCrystal("unreadable: the cell has no volume")
    return matrix


def _columns(lines: list[str], properties: str) -> tuple[list[int], list[list[str]]]:
    """Atomic numbers and positions of all sites, from the columns that `Properties` names."""
    fields = properties.split(":")
    starts: dict[str, int] = {}
    column = 0
    for name, width in zip(fields[::3], fields[2::3], strict=False):
        starts[name.lower()] = column
        if not width.isdecimal() or len(width) > 4:
            raise BadCrystal(f"unreadable: Properties={properties[:80]} has no widths")
        column += int(width)
    species, z, position = (starts.get(name) for name in ("species", "z", "pos"))
    if position is None or (species is None and z is None):
        raise BadCrystal(f"unreadable: Properties={properties[:80]} names no elements and positions")
    numbers, positions = [], []
    for row, line in enumerate(lines[2:], start=3):
        values = line.split()
        if len(values) < column:
            raise BadCrystal(f"unreadable: line {row} has {len(values)} columns, Properties names {column}")
        positions.append(values[position : position + 3])
        for value in positions[-1]:
            number(value, f"line {row}")
        if species is not None and not values[species].isalpha():
            raise BadCrystal(f"unknown element: line {row}: '{values[species][:40]}' names no element")
        seen = [element_of_type(values[species])] if species is not None else []
        if z is not None:
            seen.append(int(number(values[z], f"line {row}")))
        if len(set(seen)) != 1 or not 0 < seen[0] < 119:
            raise BadCrystal(f"contradictory: line {row} names no element, or two")
        numbers.append(seen[0])
    return numbers, positions
