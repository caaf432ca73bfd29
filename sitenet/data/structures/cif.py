"""The one structure of a CIF file, as the file states it; symmetry is applied elsewhere."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import gemmi
import numpy as np
from numpy.typing import NDArray

from sitenet.data.crystal import BadCrystal
from sitenet.data.structures.cif_symmetry import operators, space_group, states_symmetry
from sitenet.data.structures.cif_tags import MISSING, Tags, first, read_tags
from sitenet.data.structures.pymatgen_json import FULL
from sitenet.data.structures.species import Formula, element_of_label, element_of_type, parse_formula
from sitenet.data.structures.text import line_of, number

MAX_SITES = 20_000
_LENGTHS = ("_cell_length_a", "_cell_length_b", "_cell_length_c")
_ANGLES = ("_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma")
_COORDINATES = ("_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z")
_MULTIPLICITY = ("_atom_site_site_symmetry_multiplicity", "_atom_site_symmetry_multiplicity")
_DENSITY = ("_exptl_crystal_density_diffrn",)


@dataclass(frozen=True)
class CifContent:
    """What one block says.

    Attributes:
        block: The block itself, for gemmi's own reader.
        cell: Lengths in angstrom and angles in degrees.
        labels: Of each site that is listed.
        atomic_numbers: (N,) of each site.
        frac_coords: (N, 3) of each site.
        operators: Symmetry operators as listed, none if there are none.
        hall, hm, number: Names of the space group; empty if left out.
        formula: Sum formula, None if left out, with its text.
        z: Formula units in the cell, None if left out.
        volume, density: In cubic angstrom and g/cm3, None if left out.
        multiplicities: Of each site, None if left out.
    """

    block: gemmi.cif.Block
    cell: tuple[float, ...]
    labels: list[str]
    atomic_numbers: NDArray[np.uint8]
    frac_coords: NDArray[np.float64]
    operators: tuple[str, ...]
    hall: str
    hm: str
    number: str
    formula: Formula | None
    formula_text: str
    z: float | None
    volume: float | None
    density: float | None
    multiplicities: list[int] | None


def read_content(text: str) -> CifContent:
    """Reads the one block of a CIF file that holds a structure.

    Raises:
        BadCrystal: It is no CIF, holds no structure or several, or one that is incomplete or disordered.
    """
    block = _one_block(text)
    tags = read_tags(block)
    if any("cell_modulation_dimension" in tag or "cell_wave_vector" in tag for tag in tags):
        raise BadCrystal("not periodic: the structure is modulated")
    cell = [_parameter(tags, text, tag) for tag in (*_LENGTHS, *_ANGLES)]
    if not all(length > 0 for length in cell[:3]) or not all(0 < angle < 180 for angle in cell[3:]):
        raise BadCrystal(f"unreadable: no cell has the lengths and angles {' '.join(f'{value:g}' for value in cell)}")
    formula_text = first(tags, ("_chemical_formula_sum",))
    formula = parse_formula(formula_text) if formula_text else None
    labels = tags.get("_atom_site_label", [])
    _check_complete(tags, labels)
    hall, hm, group_number = space_group(tags)
    return CifContent(
        block=block,
        cell=tuple(cell),
        labels=labels,
        atomic_numbers=np.array(_elements(tags, labels, formula), dtype=np.uint8),
        frac_coords=_coordinates(tags, labels, text),
        operators=operators(tags, text),
        hall=hall,
        hm=hm,
        number=group_number,
        formula=formula,
        formula_text=formula_text,
        z=_formula_units(tags, formula),
        volume=_optional(tags, ("_cell_volume",)),
        density=_optional(tags, _DENSITY),
        multiplicities=_multiplicities(tags),
    )


def _one_block(text: str) -> gemmi.cif.Block:
    try:
        document = gemmi.cif.read_string(text, 0)
    except (ValueError, RuntimeError) as error:
        raise BadCrystal(_why_no_cif(text, str(error))) from None
    holders = [block for block in document if block.find_value("_cell_length_a") or _has(block, "_atom_site_fract_x")]
    if len(holders) == 1:
        elsewhere = next((block.name for block in document if len(document) > 1 and states_symmetry(block)), None)
        if elsewhere is not None and not states_symmetry(holders[0]):
            raise BadCrystal(f"contradictory: the block '{elsewhere}' has the symmetry, '{holders[0].name}' the sites")
        return holders[0]
    if any(_has(block, tag) for block in document for tag in ("_cell.length_a", "_atom_site.Cartn_x", "_entry.id")):
        raise BadCrystal("unreadable: data names with dots are those of mmCIF, the format of proteins")
    names = f" ({', '.join(block.name for block in holders[:5])})" if holders else ""
    raise BadCrystal(f"unreadable: the file holds {len(holders)} structures{names}, not one")


def _why_no_cif(text: str, error: str) -> str:
    """gemmi's reason, or the number or operator beyond ASCII that it stumbled over."""
    for odd in islice(re.finditer(r"[^\x00-\x7f]", text), 100):
        before = text[max(0, odd.start() - 40) : odd.start()]
        word = re.split(r"\s", before)[-1] + re.split(r"\s", text[odd.start() : odd.start() + 40])[0]
        if re.search(r"[\d,]", word) and not re.search("['\"#;]", before.splitlines()[-1] if before else ""):
            return f"unreadable: '{word[:40]}' in {line_of(text, word)} has characters beyond ASCII"
    return "unreadable: no CIF: " + re.sub(r"^(?:string:)?(\d+):\d+\(\d+\): ", r"line \1: ", error.splitlines()[0])


def _has(block: gemmi.cif.Block, tag: str) -> bool:
    return len(block.find_values(tag)) > 0


def _optional(tags: Tags, names: Sequence[str]) -> float | None:
    """A positive number, None if it is left out; what is none is told, since it is only to check others."""
    written = first(tags, names)
    try:
        value = number(written, "", uncertainty=True)
    except BadCrystal:
        value = 0.0
    if written and not value > 0:
        warnings.warn(f"{names[0]} is '{written[:40]}', so that nothing is compared with it", stacklevel=2)
    return value if value > 0 else None


def _formula_units(tags: Tags, formula: Formula | None) -> float | None:
    """Z, how many sum formulas the cell holds; 1 where the sum formula is that of the cell, as pymatgen writes it."""
    z = _optional(tags, ("_cell_formula_units_z",))
    structural = parse_formula(first(tags, ("_chemical_formula_structural",)))
    if z is None or formula is None or structural is None:
        return z
    same = all(abs(z * structural.get(n, 0) - formula.get(n, 0)) < 1e-6 for n in {*structural, *formula})
    return 1.0 if same else z


def _parameter(tags: Tags, text: str, tag: str) -> float:
    values = tags.get(tag, [])
    if len(values) != 1 or values[0] in MISSING:
        raise BadCrystal(f"unreadable: {tag} is missing")
    return number(values[0], f"{tag} in {line_of(text, values[0])}", uncertainty=True)


def _check_complete(tags: Tags, labels: list[str]) -> None:
    """Checks that every site is an atom, is all of it, and is fully occupied."""
    if not 0 < len(labels) <= MAX_SITES:
        wrong = f"too large: the file lists {len(labels)} sites, the limit is {MAX_SITES}"
        raise BadCrystal(wrong if labels else "unreadable: no _atom_site_label lists the sites")
    for tag in ("_atom_site_occupancy", "_atom_site_attached_hydrogens", "_atom_site_calc_flag"):
        for label, value in zip(labels, tags.get(tag, []), strict=False):
            if value.lower() in MISSING:
                continue
            if tag == "_atom_site_calc_flag":
                if value.lower() == "dum":
                    raise BadCrystal(f"incomplete structure: the site {label} is a dummy")
                continue
            amount = number(value, f"the {tag.split('_')[-1]} of {label}", uncertainty=True)
            if tag == "_atom_site_attached_hydrogens" and amount > 0:
                raise BadCrystal(f"incomplete structure: {value} hydrogens of {label} have no coordinates")
            if tag == "_atom_site_occupancy" and abs(amount - 1) > FULL:
                if amount <= 0:
                    raise BadCrystal(f"incomplete structure: the site {label} has the occupancy {value}")
                raise BadCrystal(f"disordered: the site {label} has the occupancy {value}")
    _check_alternatives(tags)


def _check_alternatives(tags: Tags) -> None:
    """Refuses sites of which a crystal has one or another: different groups of one assembly."""
    groups = tags.get("_atom_site_disorder_group", [])
    assemblies = tags.get("_atom_site_disorder_assembly", ["."] * len(groups))
    found: dict[str, str] = {}
    for assembly, group in zip(assemblies, groups, strict=False):
        if group not in MISSING and found.setdefault(assembly, group) != group:
            raise BadCrystal(f"disordered: of the sites of groups {found[assembly]} and {group} only one is there")


def _elements(tags: Tags, labels: list[str], formula: Formula | None) -> list[int]:
    types = tags.get("_atom_site_type_symbol")
    if types is None or any(symbol in MISSING for symbol in types):
        return [element_of_label(label, formula) for label in labels]
    return [element_of_type(symbol, formula) for symbol in types]


def _coordinates(tags: Tags, labels: list[str], text: str) -> NDArray[np.float64]:
    frac_coords = np.empty((len(labels), 3))
    for axis, tag in enumerate(_COORDINATES):
        values = tags.get(tag, [])
        if len(values) != len(labels):
            raise BadCrystal(f"incomplete structure: {len(labels)} sites have {len(values)} values of {tag}")
        for row, (label, value) in enumerate(zip(labels, values, strict=True)):
            if value in MISSING:
                raise BadCrystal(f"incomplete structure: the site {label} has no coordinates")
            try:
                frac_coords[row, axis] = number(value, "", uncertainty=True)
            except BadCrystal:
                number(value, f"{tag} of {label} in {line_of(text, value)}", uncertainty=True)
    return frac_coords


def _multiplicities(tags: Tags) -> list[int] | None:
    for tag in _MULTIPLICITY:
        values = tags.get(tag, [])
        if values and all(value.isdecimal() for value in values):
            return [int(value[:9]) for value in values]
    return None
