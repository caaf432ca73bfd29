"""CIF files of a crystal: every site or an asymmetric unit, in any setting, with operators or a name."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import gemmi
import numpy as np
import spglib
from numpy.random import Generator
from numpy.typing import NDArray

from sitenet.data.crystal import Crystal
from sitenet.settings.elements import SYMBOLS

TEXT = "_publ_section_comment\n;\n data_collection took\ndata_two hours\nloop_\n_cell_length_a 9\n;\n"
NAMES = {
    "operators": ("_symmetry_equiv_pos_as_xyz", "_space_group_symop_operation_xyz"),
    "hm": ("_symmetry_space_group_name_H-M", "_space_group_name_H-M_alt"),
    "hall": ("_symmetry_space_group_name_Hall", "_space_group_name_Hall"),
}


@dataclass(frozen=True)
class InSetting:
    """A crystal in one setting of its space group.

    Attributes:
        group: The setting.
        cell: Lengths and angles.
        atomic_numbers, frac_coords: The asymmetric unit.
        counts: Sites of the whole cell by atomic number.
    """

    group: gemmi.SpaceGroup
    cell: tuple[float, ...]
    atomic_numbers: list[int]
    frac_coords: NDArray[np.float64]
    counts: dict[int, int]


def as_it_is(crystal: Crystal) -> InSetting:
    """The crystal without symmetry."""
    lengths = np.linalg.norm(crystal.lattice, axis=1)
    unit = crystal.lattice / lengths[:, None]
    angles = np.degrees(np.arccos([unit[1] @ unit[2], unit[0] @ unit[2], unit[0] @ unit[1]]))
    numbers = [int(number) for number in crystal.atomic_numbers]
    counts = {number: numbers.count(number) for number in numbers}
    return InSetting(
        gemmi.find_spacegroup_by_name("P 1"),
        (*lengths.tolist(), *angles.tolist()),
        numbers,
        crystal.frac_coords,
        counts,
    )


@cache
def _standard(crystal_id: str, lattice: bytes, coords: bytes, numbers: bytes) -> tuple:
    cell: Any = (
        np.frombuffer(lattice).reshape(3, 3),
        np.frombuffer(coords).reshape(-1, 3),
        np.frombuffer(numbers, dtype=np.int64),
    )
    found = spglib.get_symmetry_dataset(cell, symprec=1e-4)
    assert found is not None
    group = gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(found.hall))
    return group, found.std_lattice, found.std_positions, found.std_types


def in_setting(crystal: Crystal, rng: Generator) -> InSetting:
    """The crystal in a random setting (axes, origin) of its space group."""
    numbers = crystal.atomic_numbers.astype(np.int64)
    first, lattice, sites, kinds = _standard(
        crystal.id, crystal.lattice.tobytes(), crystal.frac_coords.tobytes(), numbers.tobytes()
    )
    settings = [group for group in gemmi.spacegroup_table() if group.number == first.number]
    group = settings[rng.integers(len(settings))]
    # Coordinates of the reference setting, then those of the other one.
    change = group.basisop * first.basisop.inverse()
    matrix = np.array(change.rot) / gemmi.Op.DEN
    moved = sites @ matrix.T + np.array(change.tran) / gemmi.Op.DEN
    cell = as_it_is(Crystal("", np.linalg.inv(matrix).T @ lattice, kinds, moved)).cell
    numbers_kept, coords_kept, counts = _asymmetric_unit(group, moved, kinds, rng)
    return InSetting(group, cell, numbers_kept, coords_kept, counts)


def _asymmetric_unit(
    group: gemmi.SpaceGroup, sites: NDArray[np.float64], kinds: NDArray[np.int64], rng: Generator
) -> tuple[list[int], NDArray[np.float64], dict[int, int]]:
    """One site of each orbit, and how many sites the cell has."""
    operators = [(np.array(op.rot) / gemmi.Op.DEN, np.array(op.tran) / gemmi.Op.DEN) for op in group.operations()]
    left, numbers, kept, counts = np.ones(len(sites), dtype=bool), [], [], dict.fromkeys(map(int, kinds), 0)
    for n in rng.permutation(len(sites)):
        if not left[n]:
            continue
        images = np.array([rotation @ sites[n] + shift for rotation, shift in operators])
        distinct: list[NDArray[np.float64]] = []
        for image in images:
            if not any(np.abs((image - d) - np.rint(image - d)).max() < 1e-4 for d in distinct):
                distinct.append(image)
        for image in distinct:
            shifts = sites - image
            left &= (np.abs(shifts - np.rint(shifts)).max(axis=1) > 1e-4) | (kinds != kinds[n])
        numbers.append(int(kinds[n]))
        kept.append(distinct[rng.integers(len(distinct))])
        counts[int(kinds[n])] += len(distinct)
    return numbers, np.array(kept), counts


def cif(setting: InSetting, rng: Generator, stated: bool) -> tuple[str, str]:
    """Name and content of a CIF file; formula, Z and volume come first if they are to be stated."""
    parts = [_cell(setting, rng), _symmetry(setting, rng), _sites(setting, rng)]
    if rng.random() < 0.3:
        parts.append(TEXT)
    rng.shuffle(parts)
    if stated:
        parts.insert(0, _statements(setting, rng))
    if rng.random() < 0.2:
        parts.append("loop_\n_geom_bond_distance\n_geom_bond_publ_flag\n\n")  # a loop without rows
    head = str(rng.choice(["", "# a remark\n", "\n\n\n", "data_global\n_publ_author_name 'Müller, J.'\n"]))
    text = head + "data_x\n" + "".join(parts)
    if rng.random() < 0.1:
        text = text.replace("_cell_", "_CELL_").replace("loop_\n_atom", "LOOP_\n_atom").replace("_fract_", "_Fract_")
    return str(rng.choice(["x.cif", "X.CIF", "x.mcif"])), text


def _cell(setting: InSetting, rng: Generator) -> str:
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = [f"_cell_{name} {_number(value, 6, rng)}\n" for name, value in zip(names, setting.cell, strict=True)]
    rng.shuffle(lines)
    return "".join(lines)


def _symmetry(setting: InSetting, rng: Generator) -> str:
    group = setting.group
    operators = [op.triplet() for op in group.operations()]
    if len(operators) == 1 and rng.random() < 0.3:
        return ""
    spelt = {
        "hm": group.xhm().replace(":", str(rng.choice([":", " :"]))),
        "hall": group.hall.strip(),
    }
    ways = ["operators", "hall"] + ["hm"] * (group.xhm() == group.hm or ":" in group.xhm())
    way = str(rng.choice(ways))
    lines = ""
    if way == "operators":
        number = bool(rng.integers(2))
        lines = f"loop_\n{'_symmetry_equiv_pos_site_id' + chr(10) if number else ''}{rng.choice(NAMES[way])}\n"
        style = int(rng.integers(4))
        for n, operator in enumerate(operators, start=1):
            lines += f"{f'{n} ' if number else ''}'{_operator(operator, style)}'\n"
        if rng.random() < 0.6:
            lines += f"{rng.choice(NAMES['hm'])} '{spelt['hm']}'\n"
    else:
        lines = (
            f'{rng.choice(NAMES[way])} "{spelt[way]}"\n'
            if '"' not in spelt[way]
            else f"{NAMES[way][0]} '{spelt[way]}'\n"
        )
    if rng.random() < 0.3:
        lines += f"_space_group_IT_number {group.number}\n"
    return lines


def _operator(operator: str, style: int) -> str:
    if style == 1:
        return operator.upper().replace(",", ", ")
    if style == 2:
        return operator.replace("1/2", ".5").replace("1/4", "0.25").replace("3/4", "0.75")
    if style == 3:
        parts = []
        for part in operator.split(","):
            body, plus, number = part.rpartition("+")
            parts.append(f"{number}{body if body.startswith('-') else '+' + body}" if plus and "/" in number else part)
        return ",".join(parts)
    return operator


def _sites(setting: InSetting, rng: Generator) -> str:
    numbers, coords = setting.atomic_numbers, setting.frac_coords
    labels = [f"{SYMBOLS[number - 1]}{n}" for n, number in enumerate(numbers, start=1)]
    columns = {"_atom_site_label": labels}
    if rng.random() < 0.7:
        charge = str(rng.choice(["", "", "2+", "+2", "0+"]))
        columns["_atom_site_type_symbol"] = [SYMBOLS[number - 1] + charge for number in numbers]
    for axis, name in enumerate("xyz"):
        columns[f"_atom_site_fract_{name}"] = [_number(value, 7, rng) for value in coords[:, axis].tolist()]
    if rng.random() < 0.5:
        columns["_atom_site_occupancy"] = [
            str(rng.choice(["1", "1.0", ".", "?", "0.9999", "1.00(2)"])) for _ in numbers
        ]
    if rng.random() < 0.3:
        columns["_atom_site_U_iso_or_equiv"] = ["0.01(1)"] * len(numbers)
    names = list(columns)
    rng.shuffle(names)
    if len(numbers) == 1 and rng.random() < 0.3:
        return "".join(f"{name} {columns[name][0]}\n" for name in names)
    rows = [" ".join(columns[name][n] for name in names) for n in range(len(numbers))]
    return "\n".join(["loop_", *names, *rows]) + "\n"


def _statements(setting: InSetting, rng: Generator) -> str:
    z = int(np.gcd.reduce(list(setting.counts.values())))
    symbols = sorted((SYMBOLS[number - 1], count // z) for number, count in setting.counts.items())
    formula = " ".join(f"{symbol}{count if count > 1 or rng.random() < 0.5 else ''}" for symbol, count in symbols)
    volume = gemmi.UnitCell(*setting.cell).volume
    return f"_chemical_formula_sum '{formula}'\n_cell_formula_units_Z {z}\n_cell_volume {volume:.2f}(3)\n"


def _number(value: float, digits: int, rng: Generator) -> str:
    written = f"{value:.{digits}f}"
    return written + "(2)" if rng.random() < 0.2 else written
