"""Symmetry that a CIF file states under newer and under older data names: both must say the same."""

import pytest

from sitenet.data.crystal import BadCrystal
from tests.structure_texts import H_M, SALT, composition, operators, read, rock_salt

CONTRADICTIONS = {
    "two names of different space groups": (
        rock_salt("_space_group_name_H-M_alt 'P 1'", f"{H_M} 'F m -3 m'"),
        "contradictory: the space group is P 1 under _space_group_name_h-m_alt and F m -3 m under _symmetry_space_",
    ),
    "two Hall symbols of different space groups": (
        rock_salt("_space_group_name_Hall 'P 1'", "_symmetry_space_group_name_Hall '-F 4 2 3'"),
        "contradictory: the space group is P 1 under _space_group_name_hall and -F 4 2 3 under",
    ),
    "two settings of a space group": (
        rock_salt("_space_group_name_H-M_alt 'F d -3 m :1'", f"{H_M} 'F d -3 m Z'"),
        "contradictory: the space group is F d -3 m :1 under",
    ),
    "two numbers of space groups": (
        rock_salt("_space_group_IT_number 1", "_symmetry_Int_Tables_number 225"),
        "contradictory: the space group is 1 under _space_group_it_number and 225 under",
    ),
    "two lists of operators": (
        rock_salt("_space_group_symop_operation_xyz x,y,z", operators("F m -3 m")),
        "contradictory: the file lists 1 operators under _space_group_symop_operation_xyz and 192 operators under",
    ),
}


def test_the_same_under_two_data_names_is_read() -> None:
    operators_twice = operators("F m -3 m").replace("_symmetry_equiv_pos_as", "_space_group_symop_operation")
    names = ("_space_group_name_H-M_alt 'F m -3 m'", f"{H_M} Fm-3m", "_symmetry_Int_Tables_number 225")
    assert composition(read("x.cif", rock_salt(*names, operators("F m -3 m"), operators_twice))) == SALT


def test_a_data_name_without_value_says_nothing() -> None:
    nothing = "loop_\n_space_group_name_H-M_alt\n\nloop_\n_space_group_IT_number\n?\n"
    assert (
        composition(read("x.cif", nothing.join(["data_x\n", rock_salt(f"{H_M} 'F m -3 m'").partition("\n")[2]])))
        == SALT
    )


@pytest.mark.parametrize("kind", CONTRADICTIONS)
def test_what_contradicts_itself_under_two_data_names_is_refused(kind: str) -> None:
    content, reason = CONTRADICTIONS[kind]
    with pytest.raises(BadCrystal) as caught:
        read("x.cif", content)
    assert str(caught.value).startswith(reason)
