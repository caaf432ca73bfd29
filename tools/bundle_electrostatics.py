"""Writes sitenet/data/bundled/mp_dielectric_electrostatics.parquet: energies that follow from structure and charges.

python tools/bundle_electrostatics.py

Ions have fixed charges, by element. The most electronegative element of a crystal is its anion, and so are those that
are never cations here. Crystals that are not neutral then are left out. Two energies of these point charges, in
eV/site: of all pairs (Ewald's sum), and with each pair multiplied by erfc(r / 2 angstrom), which nearly ends at 4.
"""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Element, Structure
from scipy.constants import e, epsilon_0
from scipy.special import erfc

from sitenet.data.crystal import Crystal
from sitenet.data.table import CrystalTable, bundled_path

COULOMB = 1e10 * e / (4 * np.pi * epsilon_0)  # energy of two unit charges 1 angstrom apart, in eV
SCREENING = 2.0  # angstrom
REACH = 12.0  # angstrom; erfc(6) is 2e-17
CATIONS = {
    1: "H Li Na K Rb Cs Cu Ag Au Tl",
    2: "Be Mg Ca Sr Ba Zn Cd Hg Pb Mn Fe Co Ni Eu Yb",
    3: "B Al Ga In Bi Sc Y La Ce Pr Nd Pm Sm Gd Tb Dy Ho Er Tm Lu Cr Rh Ir",
    4: "C Si Ge Sn Ti Zr Hf Th U Ru Os Pd Pt Se Te",
    5: "N P As Sb V Nb Ta",
    6: "S Mo W",
    7: "Tc Re",
}
ANIONS = {-1: "F Cl Br I H", -2: "O S Se Te", -3: "N P As Sb Bi B", -4: "C Si Ge"}


def _by_element(states: Mapping[int, str]) -> dict[str, int]:
    return {symbol: charge for charge, symbols in states.items() for symbol in symbols.split()}


CATION, ANION = _by_element(CATIONS), _by_element(ANIONS)


def charges(atomic_numbers: np.ndarray) -> np.ndarray | None:
    """(N,) charges of the sites in units of e; None if an element has none, or if they are not neutral together."""
    symbols = [Element.from_Z(int(number)).symbol for number in atomic_numbers]
    anion = max(Counter(symbols), key=lambda symbol: Element(symbol).X)
    of = {symbol: ANION.get(symbol) if symbol == anion else CATION.get(symbol, ANION.get(symbol)) for symbol in symbols}
    if None in of.values():
        return None
    values = np.array([of[symbol] for symbol in symbols], float)
    return values if values.sum() == 0 else None


def ewald_energy(structure: Structure, charge: np.ndarray) -> float:
    """Electrostatic energy of all pairs in eV/site."""
    ions = structure.copy()
    ions.add_oxidation_state_by_site(charge.tolist())
    return float(EwaldSummation(ions, acc_factor=12).total_energy) / len(ions)


def screened_energy(structure: Structure, charge: np.ndarray, reach: float = REACH) -> float:
    """Energy of the pairs within `reach` (angstrom), each multiplied by erfc(r / SCREENING), in eV/site."""
    i, j, _, distance = structure.get_neighbor_list(reach)
    return float((charge[i] * charge[j] * erfc(distance / SCREENING) / distance).sum()) * COULOMB / 2 / len(structure)


def as_structure(crystal: Crystal) -> Structure:
    """The crystal for pymatgen."""
    return Structure(crystal.lattice, crystal.atomic_numbers.tolist(), crystal.frac_coords)


def main() -> None:
    """Writes the table and says how many crystals it has."""
    crystals = list(CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals())
    rows = []
    for crystal in crystals:
        charge = charges(crystal.atomic_numbers)
        if charge is not None:
            structure = as_structure(crystal)
            energies = (ewald_energy(structure, charge), screened_energy(structure, charge))
            rows.append((crystal.id, *(round(energy, 6) for energy in energies)))
    ids, ewald, screened = zip(*rows, strict=True)
    columns = {"id": ids, "ewald_energy": ewald, "screened_energy": screened}
    path = bundled_path("mp_dielectric_electrostatics")
    pq.write_table(pa.table(columns), path, compression="zstd", compression_level=19)
    print(f"{path}: {len(rows)} of {len(crystals)} crystals are neutral, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
