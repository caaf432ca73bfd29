"""POSCAR, extended XYZ and JSON; encodings, packing and hostile files of all kinds."""

import csv
import gzip
import json
import resource
import time
from contextlib import AbstractContextManager, nullcontext, suppress

import numpy as np
import pytest

from sitenet.data.crystal import BadCrystal
from sitenet.data.structures.parse import is_structure_file, parse_structure
from tests.shared_data import SHARED, needs_cases
from tests.structure_texts import (
    CELL,
    DIRECT,
    EIGHT,
    SALT,
    composition,
    extxyz,
    poscar,
    read,
    rock_salt,
    shortest,
)

VALID_LISTS = {
    "POSCAR_plain": poscar(*DIRECT),
    "POSCAR_all_T": poscar("Selective dynamics", "Direct", "0 0 0 T T T", "0.5 0.5 0.5 T T T"),
    "POSCAR_selective": poscar(" s", "d", "0 0 0 .TRUE. F t", "0.5 0.5 0.5 F F F Cl"),
    "POSCAR_flags": poscar("Direct", "0 0 0 F F F", "0.5 0.5 0.5 F F F"),
    "POSCAR_remarks": poscar(
        "Direct ! mode", "0 0 0 first", "0.5 0.5 0.5 ! second", scale="1.0 scale", counts="1 1 # counts"
    ),
    "POSCAR_three_scales": poscar(*DIRECT, scale="1.0 1.0 1.0"),
    "POSCAR_vasp4": poscar(*DIRECT, symbols="", head="Na Cl"),
    "POSCAR_vasp4_behind": poscar("Direct", "0 0 0 Na", "0.5 0.5 0.5 Cl", symbols=""),
    "POSCAR_potcar": poscar(*DIRECT, symbols="Na_pv/6a2f546d Cl"),
    "POSCAR_fortran": poscar("Direct", "0 0 0", "0.5D0 5.0d-1 .5", scale="0.1D+01"),
    "POSCAR_velocities": poscar(*DIRECT, "", "0 0 0", "0 0 0"),
    "POSCAR_left_handed": poscar(*DIRECT, scale="-73.92").replace("0 0 4.4", "0 0 -4.4"),
    "POSCAR_volume": poscar(*DIRECT, scale="-73.92"),
    "POSCAR_volume_cartesian": poscar("Cartesian", "0 0 0", "2.0 2.1 2.2", scale="-73.92"),
    "lines.vasp": poscar(*DIRECT).replace("\n", "\r\n"),
    "double.extxyz": extxyz(f'Lattice="{CELL}" Properties=species:S:1:pos:R:3'),
    "single.extxyz": extxyz(f"Lattice='{CELL}' Properties=species:S:1:pos:R:3 pbc='T T T'"),
    "braces.xyz": extxyz(f"Lattice={{{CELL}}}"),
    "brackets.xyz": extxyz(f"Lattice=[{CELL.replace(' ', ', ')}] pbc=[T, T, T]"),
    "other_key.extxyz": extxyz(f'input.Lattice="9 0 0 0 9 0 0 0 9" Lattice="{CELL}" Properties=species:S:1:pos:R:3'),
    "z.extxyz": extxyz(f'Lattice="{CELL}" Properties=pos:R:3:Z:I:1', "0 0 0 11", "2.0 2.1 2.2 17"),
    "both.extxyz": extxyz(f'Lattice="{CELL}" Properties=Z:I:1:species:S:1:pos:R:3', "11 Na 0 0 0", "17 Cl 2.0 2.1 2.2"),
}


@pytest.mark.parametrize("name", VALID_LISTS)
def test_valid_lists_of_sites_are_read(name: str) -> None:
    crystal = read(name, VALID_LISTS[name])
    assert composition(crystal) == "Cl1 Na1"
    assert abs(np.linalg.det(crystal.lattice)) == pytest.approx(73.92)
    assert shortest(crystal) == pytest.approx(np.linalg.norm([2.0, 2.1, 2.2]))


BAD_LISTS = {
    "POSCAR_no_symbols": (poscar(*DIRECT, symbols=""), "unreadable: no symbols say what the elements are"),
    "POSCAR_more_words": (poscar(*DIRECT, symbols="", head="C of Na Cl"), "unreadable: no symbols"),
    "POSCAR_other_symbols": (
        poscar("Direct", "0 0 0 Cl", "0.5 0.5 0.5 Na"),
        "contradictory: site 0 is Na, the symbol behind it says Cl",
    ),
    "POSCAR_flags": (poscar("Direct", "0 0 0 F F F", "0.5 0.5 0.5 F T F", symbols=""), "unreadable: no symbols"),
    "POSCAR_counts": (poscar(*DIRECT, symbols="Na Cl O"), "unreadable: 3 symbols and 2 numbers of sites"),
    "POSCAR_short": (poscar(*DIRECT[:2]), "unreadable: 2 sites are announced, 1 lines follow"),
    "POSCAR_no_mode": (poscar(*DIRECT[1:], "0.1 0.1 0.1"), "unreadable: line 8 says neither Direct nor Cartesian"),
    "POSCAR_two_scales": (poscar(*DIRECT, scale="1.0 2.0"), "unreadable: line 2 has 2 numbers, not 3"),
    "POSCAR_underscore": (poscar("Direct", "0 0 0", "0.5 0.5 1_0"), "unreadable: line 10: '1_0' is not a number"),
    "POSCAR_wide": (poscar("Direct", "0 0 0", "0.5 0.5 \uff11"), "unreadable: line 10: '\uff11' is not a number"),
    "POSCAR_group": (poscar(*DIRECT, symbols="HO Cl"), "unknown element: 'HO' may be Ho or a group of atoms"),
    "POSCAR_half": (
        "Po\n1\n0.5 0 0\n0 4 0\n0 0 4\nPo\n1\nDirect\n0 0 0\n",
        "unphysical: sites 0 (Po) and 0 (Po) are 0.500 angstrom apart",
    ),
    "POSCAR_more": (poscar(*DIRECT, "0.5 0 0 Cl"), "contradictory: 2 sites are announced, more lines of coordinates"),
    "POSCAR_flat": (poscar(*DIRECT, scale="1e-3"), "unreadable: the cell has no volume"),
    "pbc.extxyz": (extxyz(f'Lattice="{CELL}" pbc="F F F"'), "not periodic: pbc is [False, False, False]"),
    "words.extxyz": (extxyz(f'Lattice="{CELL}" pbc="maybe"'), "unreadable: pbc is 'maybe', neither true nor false"),
    "labels.extxyz": (extxyz(f'Lattice="{CELL}"', "Na1 0 0 0"), "unknown element: line 3: 'Na1' names no element"),
    "slab.extxyz": (extxyz(f'Lattice="{CELL}" pbc="T T F"'), "not periodic: pbc is [True, True, False]"),
    "twice.extxyz": (extxyz(f'Lattice="{CELL}" Lattice="{CELL}"'), 'unreadable: the second line has no Lattice="..."'),
    "eight.extxyz": (extxyz('Lattice="4 0 0 0 4 0 0 0"'), "unreadable: Lattice in line 2 has 8 numbers, not 9"),
    "wide.extxyz": (extxyz(f'Lattice="{CELL.replace("4.2", "4_2")}"'), "unreadable: Lattice in line 2: '4_2'"),
    "other_z.extxyz": (
        extxyz(f'Lattice="{CELL}" Properties=Z:I:1:species:S:1:pos:R:3', "11 Cl 0 0 0", "17 Cl 2 2 2"),
        "contradictory: line 3 names no element, or two",
    ),
    "alloy.extxyz": (
        extxyz(f'Lattice="{CELL}" occupancy="_JSON {{\\"0\\": {{\\"Na\\": 0.5, \\"K\\": 0.5}}}}"'),
        "disordered: a site holds Na 0.5, K 0.5",
    ),
    "dummy.extxyz": (extxyz(f'Lattice="{CELL}"', "X 0 0 0"), "unknown element: 'X' names no element"),
    "columns.extxyz": (extxyz(f'Lattice="{CELL}"', "Na 0 0"), "unreadable: line 3 has 3 columns, Properties names 4"),
    "nested.json": ("[" * 100_000, "unreadable: the JSON is nested too deeply"),
    "long.json": ("9" * 5000, "unreadable: no JSON"),
    "twice.json": ('{"lattice": {"a": 4, "a": 5}}', "unreadable: the key 'a' is there twice"),
}


@pytest.mark.parametrize("name", BAD_LISTS)
def test_lists_of_sites_that_are_no_structure_are_refused(name: str) -> None:
    content, reason = BAD_LISTS[name]
    with pytest.raises(BadCrystal) as caught:
        read(name, content)
    assert str(caught.value).startswith(reason)


def as_json(**lattice: object) -> str:
    sites = [
        {"species": [{"element": symbol, "occu": 1}], "abc": [place] * 3}
        for symbol, place in (("Na", 0.0), ("Cl", 0.5))
    ]
    return json.dumps({"lattice": lattice, "sites": sites})


HOSTILE = {
    "empty_lines.cif": "\n" * 100_000 + EIGHT,
    "long_word.cif": EIGHT + "a" * 1_000_000,
    "open_quote.cif": EIGHT + "'" + "a" * 1_000_000,
    "wide_word.cif": EIGHT + "\u22120.5" + "a" * 1_000_000,
    "brackets.cif": EIGHT.replace("'Cl Na'", f"'{'(' * 1000}'"),
    "digits.cif": EIGHT.replace("Na0 Na", f"Na0 Na{'1' * 100_000}x"),
    "operators.cif": rock_salt("loop_\n_symmetry_equiv_pos_as_xyz\n" + "x,y,z\n" * 100_000),
    "sites.cif": EIGHT + "Na1 Na 0 0 0\n" * 100_000,
    "POSCAR_empty_space": poscar(*DIRECT, scale="1e6"),
    "POSCAR_dense": poscar("Direct", *["0.1 0.2 0.3"] * 20_000, counts="10000 10000"),
    "POSCAR_counts": poscar(*DIRECT, counts="9" * 400),
    "quotes.xyz": extxyz('"' * 90_000),
    "brackets.xyz": extxyz("Lattice=" + "[" * 90_000),
    "brackets.json": "[" * 1_000_000 + "]" * 1_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_take_little_time_and_memory(name: str) -> None:
    content = HOSTILE[name].encode()
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with suppress(BadCrystal):
        parse_structure("x", name, content)
    assert time.process_time() - start < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1e6  # kB


def test_a_lattice_in_json_may_be_lengths_and_angles() -> None:
    crystal = read("x.json", as_json(a=4.0, b=4.2, c=4.4, alpha=90, beta=90, gamma=90))
    assert abs(np.linalg.det(crystal.lattice)) == pytest.approx(73.92)


@pytest.mark.parametrize(
    ("lattice", "reason"),
    [
        ({"matrix": [[4, 0, 0], [0, 4, 0], [0, 0, 4]], "pbc": [True, True, False]}, "not periodic: the cell's pbc is"),
        ({"a": 4.0, "b": 4.2}, "unreadable: not a pymatgen structure (KeyError: 'c')"),
        ({"matrix": [[10**400, 0, 0], [0, 4, 0], [0, 0, 4]]}, "unreadable: not a pymatgen structure (OverflowError"),
    ],
)
def test_other_lattices_in_json_are_refused(lattice: dict, reason: str) -> None:
    with pytest.raises(BadCrystal) as caught:
        read("x.json", as_json(**lattice))
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
@pytest.mark.parametrize("packed", [False, True])
def test_files_are_read_in_any_encoding_and_packed(encoding: str, packed: bool) -> None:
    content = EIGHT.replace("data_x", "data_x\n_publ_author_name 'Müller'").encode(encoding)
    name = "x.cif.gz" if packed else "x.cif"
    assert composition(read(name, gzip.compress(content) if packed else content)) == SALT


def test_damaged_and_huge_packed_files_are_refused() -> None:
    with pytest.raises(BadCrystal, match=r"unreadable: x\.cif\.gz is damaged"):
        read("x.cif.gz", gzip.compress(EIGHT.encode())[:-20])
    with pytest.raises(BadCrystal, match=r"too large: x\.cif\.gz has more than 50 MB when unpacked"):
        read("x.cif.gz", gzip.compress(bytes(50_000_001), 1))


def test_names_of_structure_files() -> None:
    yes = (
        "a.cif",
        "A.CIF",
        "a.mcif",
        "a.cif.gz",
        "POSCAR",
        "POSCAR.gz",
        "CONTCAR_1",
        "a.vasp",
        "a.extxyz",
        "sub/a.json",
    )
    assert all(map(is_structure_file, yes))
    assert not any(map(is_structure_file, ("a.txt", "a.gz", "a.cif.bak", "targets.csv")))


def test_reasons_are_one_printable_line() -> None:
    with pytest.raises(BadCrystal) as caught:
        read("\x1b[31m.cif", rock_salt().replace("Na1 Na", "Na1 \x1b[31m" + "Q" * 500))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 300


def shared_cases() -> list[tuple[str, str]]:
    path = SHARED / "cases" / "structures" / "right.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [(row["file"], row["right"]) for row in csv.DictReader(file)]


@needs_cases
@pytest.mark.parametrize(("name", "right"), shared_cases())
def test_shared_cases_give_their_right_value_or_a_refusal(name: str, right: str) -> None:
    content = (SHARED / "cases" / "structures" / name).read_bytes()
    allowed: AbstractContextManager = suppress(BadCrystal) if right.endswith("|refuse") else nullcontext()
    if right == "refuse":
        allowed = pytest.raises(BadCrystal, match=r"^[a-z ]+: ")
    crystal = None
    with allowed:
        crystal = parse_structure("x", name, content)
    if crystal is None:
        assert "refuse" in right
        return
    words = next(words for words in right.split("|") if words != "refuse").split()
    sites = [word for word in words if "=" not in word]
    assert composition(crystal) == " ".join(sites)
    wanted = dict(word.split("=") for word in words if "=" in word)
    if "V" in wanted:
        assert abs(np.linalg.det(crystal.lattice)) == pytest.approx(float(wanted["V"]), abs=0.05)
    if "dmin" in wanted:
        assert shortest(crystal) == pytest.approx(float(wanted["dmin"]), abs=0.002)
