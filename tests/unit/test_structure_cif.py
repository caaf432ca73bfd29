"""What a CIF file says is what is read: every kind of fault, and of odd but valid file, with neighbours of both."""

from collections import Counter

import pytest
from pymatgen.core import Structure

from sitenet.data.crystal import BadCrystal
from tests.structure_texts import (
    BISMUTH_CELL,
    EIGHT,
    EIGHT_SITES,
    FORMULA,
    H_M,
    IRON_SITES,
    POLONIUM,
    ROCK_SALT_SITES,
    SALT,
    ZIRCONIA_CELL,
    ZIRCONIA_SITES,
    Z,
    cif,
    composition,
    cubic,
    operators,
    read,
    rock_salt,
)

COMMENT = "_publ_section_comment\n;\nIt took long.\n  data_collection\ndata_two took\n_cell_length_a 9\n;\n"
SILICON = [("Si1", "Si", "0.125 0.125 0.125")]
ORIGIN = (f"{H_M} 'F d -3 m'", "_chemical_formula_sum Si", f"{Z} 8")
MANGANESE = [("Mn1", "Mn", "0 0 0"), ("O1", "O", "0.5 0.5 0.5")]
MOMENTS = "loop_\n_atom_site_moment.label\n_atom_site_moment.crystalaxis_x\nMn1 4.5\n"
MAGNETIC = """loop_
_space_group_symop_magn_operation.xyz
x,y,z,+1
-x,-y,-z,+1
loop_
_space_group_symop_magn_centering.xyz
x,y,z,+1
x,y+1/2,z+1/2,-1
x+1/2,y,z+1/2,-1
x+1/2,y+1/2,z,+1"""
HOLMIUM_NITRIDE = [("HO1", "", "0 0 0"), ("N1", "", "0.5 0.5 0.5")]
METHYLENE = [("C1", "C", "0 0 0"), ("H1", "H", "0.12 0 0"), ("H2", "H", "0 0.12 0")]
WITH_OCCUPANCY = [("Na1", "Na", "0 0 0 1"), ("Cl1", "Cl", "0.5 0.5 0.5 0.9999999")]

VALID_CIF = {
    "text before": (EIGHT.replace("_cell_length_a", COMMENT + "_cell_length_a", 1), SALT),
    "text behind": (EIGHT + COMMENT, SALT),
    "name": (rock_salt(f"{H_M} 'F m -3 m'"), SALT),
    "name without blanks": (rock_salt(f"{H_M} Fm-3m"), SALT),
    "old name": (rock_salt(f"{H_M} 'F m 3 m'"), SALT),
    "lower-case name": (rock_salt(f"{H_M} 'f m -3 m'"), SALT),
    "name of newer files": (rock_salt("_space_group_name_H-M_alt 'F m -3 m'"), SALT),
    "Hall symbol": (rock_salt("_symmetry_space_group_name_Hall '-F 4 2 3'"), SALT),
    "number": (rock_salt("_space_group_IT_number 225"), SALT),
    "operators": (rock_salt(operators("F m -3 m")), SALT),
    "operators that are no tabulated setting": (
        cif(cubic(7.0), POLONIUM, "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\nx+1/2,y,z\nx,y+1/2,z\nx+1/2,y+1/2,z"),
        "Po4",
    ),
    "monoclinic name": (cif(ZIRCONIA_CELL, ZIRCONIA_SITES, f"{H_M} 'P 21/c'", f"{Z} 4"), "O8 Zr4"),
    "monoclinic name with brackets": (cif(ZIRCONIA_CELL, ZIRCONIA_SITES, f"{H_M} P2(1)/c"), "O8 Zr4"),
    "monoclinic name with underscore": (cif(ZIRCONIA_CELL, ZIRCONIA_SITES, f"{H_M} P2_1/c"), "O8 Zr4"),
    "monoclinic operators": (cif(ZIRCONIA_CELL, ZIRCONIA_SITES, operators("P 21/c"), f"{H_M} 'P 21/c'"), "O8 Zr4"),
    "rhombohedral axes by name": (cif(BISMUTH_CELL, [("Bi1", "Bi", "0.234 0.234 0.234")], f"{H_M} 'R -3 m'"), "Bi2"),
    "rhombohedral axes by number": (
        cif(BISMUTH_CELL, [("Bi1", "Bi", "0.234 0.234 0.234")], "_space_group_IT_number 166"),
        "Bi2",
    ),
    "hexagonal axes by name": (
        cif((4.546, 4.546, 11.862, 90, 90, 120), [("Bi1", "Bi", "0 0 0.234")], f"{H_M} 'R -3 m'"),
        "Bi6",
    ),
    "origin 2 by Z": (cif(cubic(5.431), SILICON, *ORIGIN), "Si8"),
    "origin 1 by Z": (cif(cubic(5.431), [("Si1", "Si", "0 0 0")], *ORIGIN), "Si8"),
    "origin by contacts": (cif(cubic(5.431), SILICON, f"{H_M} 'F d -3 m:2'"), "Si8"),
    "origin as in ICSD": (cif(cubic(5.431), SILICON, f"{H_M} 'F d -3 m Z'"), "Si8"),
    "magnetic beside ordinary operators": (cif(cubic(4.445), MANGANESE, operators("F -1"), MOMENTS), "Mn4 O4"),
    "magnetic operators alone": (cif(cubic(4.445), MANGANESE, MAGNETIC, MOMENTS), "Mn4 O4"),
    "occupancy of almost one": (
        cif(cubic(3.99), WITH_OCCUPANCY, columns=("occupancy",)),
        "Cl1 Na1",
    ),
    "charges": (cif(cubic(3.99), [("Na1", "Na+1", "0 0 0"), ("Cl1", "Cl1-", "0.5 0.5 0.5")]), "Cl1 Na1"),
    "upper-case elements": (cif(cubic(3.99), [("NA1", "NA", "0 0 0"), ("CL1", "CL", "0.5 0.5 0.5")]), "Cl1 Na1"),
    "labels alone": (cif(cubic(3.99), [("Na1", "", "0 0 0"), ("Cl1A", "", "0.5 0.5 0.5")], types=False), "Cl1 Na1"),
    "holmium in upper case": (
        cif(cubic(4.91), HOLMIUM_NITRIDE, "_chemical_formula_sum 'Ho N'", types=False),
        "Ho1 N1",
    ),
    "one site outside a loop": (
        cif(cubic(3.359), [], f"{H_M} 'P m -3 m'").split("loop_")[0]
        + "_atom_site_label Po1\n_atom_site_fract_x 0\n_atom_site_fract_y 0\n_atom_site_fract_z 0\n",
        "Po1",
    ),
    "loop without rows": (EIGHT + "loop_\n_geom_hbond_atom_site_label_D\n\nloop_\n_publ_author_name\n'A. B.'\n", SALT),
    "upper-case tags": (EIGHT.replace("_cell_length", "_CELL_LENGTH").replace("loop_", "LOOP_"), SALT),
    "line ends of old Macs": (EIGHT.replace("\n", "\r"), SALT),
    "images listed": (
        cif(cubic(3.99), [*ROCK_SALT_SITES, ("Na2", "Na", "1 0 0"), ("Na3", "Na", "0 1 1")]),
        "Cl1 Na1",
    ),
    "symmetry images listed": (cif(cubic(5.64), EIGHT_SITES, f"{H_M} 'F m -3 m'", FORMULA, f"{Z} 4"), SALT),
    "formula and Z": (rock_salt(f"{H_M} 'F m -3 m'", FORMULA, f"{Z} 4", "_cell_volume 179.4(2)"), SALT),
    "formula of the cell, as pymatgen writes it": (
        cif(cubic(5.64), EIGHT_SITES, "_chemical_formula_structural NaCl", "_chemical_formula_sum 'Na4 Cl4'", f"{Z} 4"),
        SALT,
    ),
    "an empty formula behind the formula": (rock_salt(f"{H_M} 'F m -3 m'", FORMULA, "_chemical_formula_sum ''"), SALT),
    "deuterium": (
        cif(cubic(4.085), [("Li1", "Li", "0 0 0"), ("D1", "D", "0.5 0.5 0.5")], f"{H_M} 'F m -3 m'", f"{Z} 4",
            "_chemical_formula_sum 'D Li'"),
        "H4 Li4",
    ),
    "only the identity, all sites": (
        cif(cubic(5.64), EIGHT_SITES, f"{H_M} 'F m -3 m'", FORMULA, f"{Z} 4", "_symmetry_equiv_pos_as_xyz x,y,z"),
        SALT,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", VALID_CIF)
def test_valid_cif_files_are_read(kind: str) -> None:
    content, right = VALID_CIF[kind]
    assert composition(read("x.cif", content)) == right


BAD_CIF = {
    "only the identity": (
        rock_salt(f"{H_M} 'F m -3 m'", FORMULA, f"{Z} 4", "_symmetry_equiv_pos_as_xyz x,y,z"),
        "incomplete structure: the sites make Cl1 Na1 (P 1), the file says Z 4 and Cl Na",
    ),
    "only the identity, no Z": (
        rock_salt(f"{H_M} 'F m -3 m'", "_symmetry_equiv_pos_as_xyz x,y,z"),
        "contradictory: 1 operators are listed, F m -3 m has 192",
    ),
    "operators of another space group": (
        rock_salt(operators("P 2/m"), f"{H_M} 'P 21/c'", "_chemical_formula_sum 'Na Cl'", f"{Z} 1"),
        "contradictory: the operators are those of space group 10, the file names P 21/c",
    ),
    "operators that are no group": (
        rock_salt("loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n-y,x,z"),
        "contradictory: 2 operators are listed, together they make a group of 4",
    ),
    "a cell without the symmetry": (
        cif((5.6, 5.9, 6.3, 90, 90, 90), ROCK_SALT_SITES, f"{H_M} 'F m -3 m'"),
        "contradictory: the cell 5.6 5.9 6.3 90 90 90 does not have the symmetry of F m -3 m",
    ),
    "an unknown name": (rock_salt(f"{H_M} 'F m 9'"), "unreadable: no space group is called 'F m 9'"),
    "a name of one group, a Hall symbol of another": (
        rock_salt(f"{H_M} 'P m -3 m'", "_symmetry_space_group_name_Hall '-F 4 2 3'"),
        "undecided: read as Cl4 Na4 (F m -3 m) and as Cl1 Na1 (P m -3 m), the file says no Z",
    ),
    "an origin that is not stated": (
        cif(cubic(8.08), [("Mg1", "Mg", "0.125 0.125 0.125")], f"{H_M} 'F d -3 m'"),
        "undecided: read as Mg16 (F d -3 m:1) and as Mg8 (F d -3 m:2), the file says no Z",
    ),
    "a typographic minus": (
        cif(cubic(4.2), ROCK_SALT_SITES, "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n'\u2212x,\u2212y,\u2212z'"),
        "unreadable: '\u2212x,\u2212y,\u2212z' in line 11 is no symmetry operator",
    ),
    "a typographic minus in a number": (
        cif(cubic(3.99), [ROCK_SALT_SITES[0], ("Cl1", "Cl", "0.5 \u22120.5 0.5")]),
        "unreadable: '\u22120.5' in line 15 has characters beyond ASCII",
    ),
    "an operator of two parts": (rock_salt("_symmetry_equiv_pos_as_xyz x,y"), "unreadable: 'x,y' in line 8"),
    "attached hydrogens": (
        cif(cubic(3.9), [("Ca1", "Ca", "0 0 0 0"), ("O1", "O", "0.5 0.5 0.5 2")], columns=("attached_hydrogens",)),
        "incomplete structure: 2 hydrogens of O1 have no coordinates",
    ),
    "a dummy": (
        cif(cubic(2.87), [("Fe1", "Fe", "0 0 0 d"), ("Fe2", "Fe", "0.5 0.5 0.5 dum")], columns=("calc_flag",)),
        "incomplete structure: the site Fe2 is a dummy",
    ),
    "a part of a site": (
        cif(cubic(2.87), [("Fe1", "Fe", "0 0 0 0.9975")], columns=("occupancy",)),
        "disordered: the site Fe1 has the occupancy 0.9975",
    ),
    "one site or another": (
        cif(
            cubic(3.9),
            [("C1", "C", "0 0 0 . ."), ("O1A", "O", "0.3 0 0 A 1"), ("O1B", "O", "0 0.3 0 A 2")],
            columns=("disorder_assembly", "disorder_group"),
        ),
        "disordered: of the sites of groups 1 and 2 only one is there",
    ),
    "two elements in one place": (
        cif(cubic(2.87), [("Fe1", "Fe", "0 0 0"), ("Co1", "Co", "0 0 1")]),
        "disordered: sites 0 (Fe) and 1 (Co) share one place",
    ),
    "a vacancy by label": (
        cif(cubic(2.87), [IRON_SITES[0], ("Vac1", "", "0.5 0.5 0.5")], types=False).replace(" Fe ", " "),
        "unknown element: 'Vac1' names no element",
    ),
    "a vacancy by type": (
        cif(cubic(2.87), [IRON_SITES[0], ("V1", "Va", "0.5 0.5 0.5")]),
        "unknown element: 'Va' names no element",
    ),
    "a tetrahedral site": (cif(cubic(4.0), [("T1", "T", "0 0 0")]), "unknown element: 'T' names no element"),
    "a hydroxyl group": (
        cif(cubic(4.0), [("HO1", "", "0 0 0")], types=False),
        "unknown element: 'HO1' may be Ho or a group of atoms",
    ),
    "calcium or carbon": (
        cif(cubic(4.0), [("CA1", "", "0 0 0")], types=False),
        "unknown element: 'CA1' may be Ca or a group of atoms",
    ),
    "hydrogens that are missing": (
        cif(cubic(9.0), METHYLENE, "_chemical_formula_sum 'C H4'"),
        "incomplete structure: the sites make C1 H2 (P 1), the file says C H4",
    ),
    "one hydrogen in a hundred too few": (
        cif(
            cubic(200.0),
            [(f"{'C' if n < 50 else 'H'}{n}", "C" if n < 50 else "H", f"{n / 149:.4f} 0 0") for n in range(149)],
            "_chemical_formula_sum 'C50 H100'",
        ),
        "incomplete structure: the sites make C50 H99 (P 1), the file says C50 H100",
    ),
    "formula of the cell, the asymmetric unit alone": (
        rock_salt("_chemical_formula_structural NaCl", "_chemical_formula_sum 'Na4 Cl4'", f"{Z} 4"),
        "incomplete structure: the sites make Cl1 Na1 (P 1), the file says Z 1 and Na4 Cl4",
    ),
    "two formulas": (
        rock_salt(FORMULA, "_chemical_formula_sum 'Na2 Cl'"),
        "unreadable: _chemical_formula_sum is given twice",
    ),
    "a name with two origins, one known to one reader alone": (
        cif((5, 6, 7, 90, 90, 90), [("Mg1", "Mg", "0 0.25 0.25")], f"{H_M} 'C c c a'"),
        "undecided: read as Mg8 (C c c a:1) and as Mg4 (C c c a:2), the file says no Z",
    ),
    "Z alone": (rock_salt(f"{Z} 4"), "incomplete structure: the sites make Cl1 Na1 (P 1), the file says Z 4"),
    "another volume": (
        rock_salt(f"{H_M} 'F m -3 m'", "_cell_volume 100.0"),
        "contradictory: the cell measures 179.41, the file says 100 cubic angstrom",
    ),
    "sites that touch": (
        cif(cubic(2.87), [IRON_SITES[0], ("Fe2", "Fe", "0.1 0.1 0.1")]),
        "unphysical: sites 0 (Fe) and 1 (Fe) are 0.497 angstrom apart",
    ),
    "a site almost on a special position": (
        cif(cubic(5.64), [("Na1", "Na", "0.03 0 0")], f"{H_M} 'F m -3 m'"),
        "unphysical: sites ",
    ),
    "proteins' format": (
        "data_1ABC\n_cell.length_a 4.0\nloop_\n_atom_site.id\n_atom_site.type_symbol\n_atom_site.Cartn_x\n1 Na 0\n",
        "unreadable: data names with dots are those of mmCIF",
    ),
    "two structures": (
        EIGHT + EIGHT.replace("data_x", "data_y"),
        "unreadable: the file holds 2 structures (x, y), not one",
    ),
    "a number of another space group than the name": (
        rock_salt(f"{H_M} 'F m -3 m'", "_space_group_IT_number 221"),
        "contradictory: F m -3 m is number 225, the file says 221",
    ),
    "a number of another space group than the operators": (
        rock_salt(operators("F m -3 m"), "_space_group_IT_number 221"),
        "contradictory: the operators are those of space group 225, not 221",
    ),
    "symmetry in another block": (
        f"data_symmetry\n{H_M} 'F m -3 m'\n{rock_salt()}",
        "contradictory: the block 'symmetry' has the symmetry, 'x' the sites",
    ),
    "no labels": (EIGHT.replace("_label", "_name"), "unreadable: no _atom_site_label lists the sites"),
    "a modulated structure": (rock_salt("_cell_modulation_dimension 1"), "not periodic: the structure is modulated"),
    "no coordinates": (
        cif(cubic(3.99), [ROCK_SALT_SITES[0], ("Cl1", "Cl", "0.5 ? 0.5")]),
        "incomplete structure: the site Cl1 has no coordinates",
    ),
    "a cell without an angle": (EIGHT.replace("_cell_angle_beta 90\n", ""), "unreadable: _cell_angle_beta is missing"),
    "a missing value": (EIGHT.rsplit(" ", 1)[0] + "\n", "unreadable: no CIF: line 9: Wrong number of values"),
    "a tag twice": (EIGHT + "_cell_length_a 5.65\n", "unreadable: _cell_length_a is given twice"),
    "too long an operator": (
        rock_salt(f"_symmetry_equiv_pos_as_xyz x,y,z+1/{'2' * 1000}"),
        "unreadable: 'x,y,z+1/2222",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_CIF)
def test_cif_files_that_are_no_one_structure_are_refused(kind: str) -> None:
    content, reason = BAD_CIF[kind]
    with pytest.raises(BadCrystal) as caught:
        read("x.cif", content)
    assert str(caught.value).startswith(reason)


def test_sites_in_rounded_coordinates_are_moved_onto_their_special_positions() -> None:
    """Magnesium at 1/3, 2/3 with four digits: all twelve neighbours in two shells, not in several."""
    text = cif((3.2094, 3.2094, 5.2108, 90, 90, 120), [("Mg1", "Mg", "0.3333 0.6667 0.25")], f"{H_M} 'P 63/m m c'")
    crystal = read("x.cif", text)
    structure = Structure(crystal.lattice, crystal.atomic_numbers.tolist(), crystal.frac_coords)
    lengths = sorted(round(neighbour.nn_distance, 6) for neighbour in structure.get_neighbors(structure[0], 3.3))
    assert Counter(Counter(lengths).values()) == {6: 2}


def test_what_is_merged_or_not_compared_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    read("images.cif", VALID_CIF["images listed"][0])
    read("salt.cif", rock_salt(f"{H_M} 'F m -3 m'", "_chemical_formula_sum salt", f"{Z} four"))
    assert "images.cif: 2 of 4 sites are images of others and are merged with them" in caplog.text
    assert "salt.cif: the formula 'salt' cannot be read" in caplog.text
    assert "salt.cif: _cell_formula_units_z is 'four'" in caplog.text
