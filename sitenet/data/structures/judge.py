"""What a CIF file says about its own reading: formula and Z, space group, volume, density, multiplicities."""

import warnings

import gemmi
import numpy as np

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.structures.cif import CifContent, read_content
from sitenet.data.structures.readings import Reading, read_as
from sitenet.data.structures.species import decimals
from sitenet.data.structures.symmetry import group_number, named_groups, possible_symmetries

# How far a volume or a density may be off, as a share: they are rounded, or measured otherwise.
_SHARE = 0.02
_DALTON = 1.66053907  # g/cm3 of one dalton in a cubic angstrom


def read_cif(id_: str, text: str) -> Crystal:
    """Reads the one structure of a CIF file.

    Raises:
        BadCrystal: The file is no such file, contradicts itself, or leaves undecided what the structure is.
    """
    content = read_content(text)
    readings: list[Reading] = []
    refused: dict[str, str] = {}
    for symmetry in possible_symmetries(content):
        try:
            reading = read_as(content, symmetry)
            _check_formula(content, reading)
            if not any(reading.equals(other) for other in readings):
                readings.append(reading)
        except BadCrystal as reason:
            refused[symmetry.name] = str(reason)
    reading = _decide(content, readings, refused)
    _check_statements(content, reading)
    return Crystal(id_, reading.lattice, reading.atomic_numbers, reading.frac_coords)


def _decide(content: CifContent, readings: list[Reading], refused: dict[str, str]) -> Reading:
    """The one reading that nothing in the file speaks against."""
    if not readings and len(refused) == 1:
        raise BadCrystal(*refused.values())
    if not readings:
        raise BadCrystal("contradictory: " + "; ".join(f"as {name}, {why}" for name, why in refused.items()))
    if len(readings) > 1:
        readings = [r for r in readings if r.multiplicities == content.multiplicities] or readings
        readings = [r for r in readings if _has_density(content, r)] or readings
    if len(readings) > 1:
        z = f"Z {content.z:g}" if content.z else "no Z"
        raise BadCrystal(f"undecided: read as {' and as '.join(map(str, readings))}, the file says {z}")
    return readings[0]


def _has_density(content: CifContent, reading: Reading) -> bool:
    if content.density is None:
        return False
    mass = sum(n * _mass(number) for number, n in reading.composition.items())
    density = _DALTON * mass / abs(np.linalg.det(reading.lattice))
    return abs(density / content.density - 1) < _SHARE


def _mass(atomic_number: int) -> float:
    return gemmi.Element(atomic_number).weight


def _check_formula(content: CifContent, reading: Reading) -> None:
    """Checks the sites against the sum formula: Z times it if Z is stated, else the same proportions, exactly."""
    counts = reading.composition
    if content.formula is None:
        if content.formula_text:
            unread = f"the formula '{content.formula_text[:40]}' cannot be read"
            warnings.warn(f"{unread}, so that nothing is compared with it", stacklevel=2)
        if content.z and any(n % content.z for n in counts.values()):
            raise BadCrystal(f"incomplete structure: the sites make {reading}, the file says Z {content.z:g}")
        return
    units = content.z or counts.total() / sum(content.formula.values())
    rounded = 0.5 * 10.0 ** -decimals(content.formula_text) if "." in content.formula_text else 1e-6
    off = {number: counts[number] - units * content.formula.get(number, 0) for number in {*counts, *content.formula}}
    if all(abs(difference) <= units * rounded + 1e-6 for difference in off.values()):
        return
    kind = "incomplete structure" if content.z and max(off.values()) <= units * rounded + 1e-6 else "contradictory"
    missing = {*content.formula} - {*counts}
    if missing or not content.z:
        kind = "incomplete structure"
    said = f"Z {content.z:g} and {content.formula_text}" if content.z else content.formula_text
    raise BadCrystal(f"{kind}: the sites make {reading}, the file says {said}")


def _check_statements(content: CifContent, reading: Reading) -> None:
    """Checks what else the file states: the volume, and the space group beside the operators."""
    volume = abs(np.linalg.det(reading.lattice))
    if content.volume is not None and abs(volume / content.volume - 1) > _SHARE:
        stated = f"{content.volume:g} cubic angstrom"
        raise BadCrystal(f"contradictory: the cell measures {volume:.2f}, the file says {stated}")
    if content.operators:
        _check_name(content)


def _check_name(content: CifContent) -> None:
    """Checks the operators against the space group beside them, unless Z and formula speak for the operators."""
    groups, n_listed = named_groups(content), len(content.operators)
    name, orders = content.hall or content.hm, sorted({order for _, order in groups})
    listed, confirmed = group_number(content.operators), content.formula is not None and content.z is not None
    if orders and n_listed not in orders and not confirmed:
        has = " or ".join(map(str, orders))
        raise BadCrystal(f"contradictory: {n_listed} operators are listed, {name} has {has}")
    if n_listed in orders and listed and all(number not in (listed, 0) for number, _ in groups):
        raise BadCrystal(f"contradictory: the operators are those of space group {listed}, the file names {name}")
    if listed and content.number.isdecimal() and int(content.number[:9]) != listed and not confirmed:
        raise BadCrystal(f"contradictory: the operators are those of space group {listed}, not {content.number[:9]}")
