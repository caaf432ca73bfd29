"""What `sitenet predict` reads: every format and packing gives the same crystals."""

import gzip
import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.formula import standard_formula
from sitenet.data.table import write_crystals
from sitenet.errors import UserError
from sitenet.prediction.inputs import contents, places
from sitenet.prediction.inputs.items import AT_ONCE, Input, Item, chunks
from sitenet.prediction.inputs.objects import items_of_objects
from sitenet.prediction.inputs.places import open_inputs
from tests.materials_project_stub import KEY, Service, error, materials_project, summary_documents
from tests.own_files import GOOD, REAL, as_folder, extxyz, structure

FORMULAS = [standard_formula(crystal.atomic_numbers.tolist()) for crystal in REAL]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(*names: str) -> dict[str, str]:
    """Formula by id, or the reason."""
    return outcome(open_inputs(names))


def outcome(input_: Input) -> dict[str, str]:
    found = {}
    for item in input_.items:
        assert item.id not in found
        try:
            found[item.id] = standard_formula(item.crystal().atomic_numbers.tolist())
        except BadCrystal as reason:
            found[item.id] = str(reason)
    return found


def atoms(crystal: Crystal) -> Atoms:
    return Atoms(numbers=crystal.atomic_numbers, cell=crystal.lattice, scaled_positions=crystal.frac_coords, pbc=True)


def split_json(crystals: list[Crystal]) -> bytes:
    """A table as pandas and matminer write it."""
    data = [[structure(crystal).as_dict(), 1.0] for crystal in crystals]
    return json.dumps({"columns": ["structure", "gap pbe"], "index": [*range(len(data))], "data": data}).encode()


def test_folders_and_archives_hold_the_same() -> None:
    as_folder(Path("mine"), GOOD | {"notes.txt": "none", "sub/.hidden.cif": "none"})
    with zipfile.ZipFile("mine.zip", "w") as archive:
        for name, content in GOOD.items():
            archive.writestr(name, content)
    for kind in ("tar", "gztar", "xztar"):
        shutil.make_archive("mine", kind, "mine")
    Path("mine.tgz").write_bytes(Path("mine.tar.gz").read_bytes())
    expected = dict(zip(GOOD, FORMULAS, strict=True))
    for place in ("mine", "mine.zip", "mine.tar", "mine.tar.gz", "mine.tgz", "mine.tar.xz"):
        assert read(place) == {f"{place}/{name}": formula for name, formula in expected.items()}
    assert read("mine", "mine/a.cif", "./mine/f.json") == {f"mine/{name}": one for name, one in expected.items()}


def test_files_of_several_structures() -> None:
    several = {f"#{n}": formula for n, formula in enumerate(FORMULAS, start=1)}
    Path("run.extxyz").write_text("".join(extxyz(crystal) for crystal in REAL))
    Path("run.xyz.gz").write_bytes(gzip.compress(Path("run.extxyz").read_bytes()))
    Path("list.json").write_text(json.dumps([structure(crystal).as_dict() for crystal in REAL]))
    ase.io.write("ase.json", [atoms(crystal) for crystal in REAL], format="json")
    for name in ("run.extxyz", "run.xyz.gz", "list.json", "ase.json"):
        assert read(name) == {f"{name}{n}": formula for n, formula in several.items()}
    ase.io.write("one.json", atoms(REAL[0]), format="json")
    Path("entry.json").write_text(json.dumps({"structure": structure(REAL[1]).as_dict()}))
    Path("named.json").write_text(json.dumps([{"id": "x", "structure": structure(REAL[2]).as_dict()}, {}]))
    assert read("one.json", "entry.json") == {"one.json": FORMULAS[0], "entry.json": FORMULAS[1]}
    found = read("named.json")
    assert found["named.json#x"] == FORMULAS[2]
    assert found["named.json#2"].startswith("unreadable: not a pymatgen structure")


def test_a_long_trajectory_is_read_frame_by_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("run.extxyz").write_text("".join(extxyz(crystal) for crystal in REAL))
    whole = read("run.extxyz")
    monkeypatch.setattr(places, "STREAMED", 10)
    assert read("run.extxyz") == whole
    with Path("run.extxyz").open("a") as file:
        file.write("no number\n")
    found = read("run.extxyz")
    assert list(found.values())[:-1] == FORMULAS
    assert found["run.extxyz"] == "unreadable: a frame of extended XYZ begins with the number of sites"


def test_a_frame_without_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MAX_FILE", 1_000_000)
    monkeypatch.setattr(places, "STREAMED", 10)
    for text in ("2\n" + "x" * 3_000_000, "900000\n" + "x\n" * 900_001):
        Path("bomb.xyz.gz").write_bytes(gzip.compress(text.encode()))
        assert read("bomb.xyz.gz") == {"bomb.xyz.gz": "too large: a frame has more than 1 MB"}


def test_tables() -> None:
    write_crystals("structures.parquet", REAL)
    expected = {crystal.id: formula for crystal, formula in zip(REAL, FORMULAS, strict=True)}
    assert read("structures.parquet") == expected
    assert open_inputs(["structures.parquet"]).count == len(REAL)
    Path("mine.json.gz").write_bytes(gzip.compress(split_json(REAL)))
    assert read("mine.json.gz") == {f"mine.json.gz#{n}": one for n, one in enumerate(FORMULAS, start=1)}
    Path("matbench_mp_gap.json.gz").write_bytes(gzip.compress(split_json(REAL)))
    assert list(read("matbench_mp_gap.json.gz"))[:2] == ["mb-mp-gap-000001", "mb-mp-gap-000002"]


def test_sites_of_tables_are_checked_as_those_of_files(caplog: pytest.LogCaptureFixture) -> None:
    first = REAL[0]
    twice = Crystal("a", first.lattice, np.tile(first.atomic_numbers, 2), np.tile(first.frac_coords, (2, 1)))
    near = Crystal("b", np.eye(3) * 6, np.array([55, 55]), np.array([[0, 0, 0], [0, 0, 0.15]]))
    Path("mine.json").write_bytes(split_json([twice, near]))
    found = list(read("mine.json").values())
    assert found == [FORMULAS[0], "unphysical: sites 0 (Cs) and 1 (Cs) are 0.900 angstrom apart"]
    n = len(first.atomic_numbers)
    assert caplog.messages == [f"mine.json#1: {n} of {2 * n} sites are images of others and are merged with them"]


def test_a_damaged_place_is_a_row_and_the_others_are_read() -> None:
    packed = gzip.compress(split_json(REAL))
    Path("cut.json.gz").write_bytes(packed[: len(packed) // 2])
    Path("none.parquet").write_text("none")
    Path("none.zip").write_text("none")
    Path("cut.tar.gz").write_bytes(gzip.compress(b"none"))
    write_crystals("other.parquet", REAL)
    Path("good.cif").write_text(GOOD["a.cif"])
    Path("column.json").write_text('{"columns": ["a"], "index": [0], "data": [[1]]}')
    found = read("cut.json.gz", "none.parquet", "none.zip", "cut.tar.gz", "column.json", "good.cif")
    assert found["cut.json.gz"].startswith("cut.json.gz is damaged after ")
    assert found["none.parquet"].startswith("none.parquet is not a Parquet file")
    assert found["none.zip"].startswith("a damaged zip archive: ")
    assert found["cut.tar.gz"].startswith("a damaged tar archive after 0 structure files: ")
    assert found["column.json"] == "column.json lacks the column 'structure'; it has a"
    assert found["good.cif"] == FORMULAS[0]


def test_members_of_a_tar_that_are_no_files_are_not_followed() -> None:
    with tarfile.open("odd.tar", "w") as tar:
        link = tarfile.TarInfo("link.cif")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        content = GOOD["a.cif"].encode()
        info = tarfile.TarInfo("../../up.cif")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    assert read("odd.tar") == {
        "odd.tar/link.cif": "unreadable: a link or device in an archive is not followed",
        "odd.tar/../../up.cif": FORMULAS[0],
    }


def test_standard_input_is_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    as_folder(Path("mine"), GOOD)
    monkeypatch.setattr("sys.stdin", io.StringIO("mine/a.cif\r\n\nmine/POSCAR_b\nnone.cif\nmine/a.cif\n"))
    input_ = open_inputs(["-", "mine/c.vasp"])
    assert input_.count is None
    assert outcome(input_) == {
        "mine/a.cif": FORMULAS[0],
        "mine/POSCAR_b": FORMULAS[1],
        "none.cif": "missing file: no such file",
        "mine/c.vasp": FORMULAS[2],
    }


def test_ids_of_the_materials_project(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(summary_documents(3))
    ids = [document["material_id"] for document in service.documents]
    Path("good.cif").write_text(GOOD["a.cif"])
    monkeypatch.setenv("MP_API_KEY", KEY)
    with materials_project(service) as address:
        monkeypatch.setenv("MP_API_ENDPOINT", address)
        found = read(ids[1], "mp-999999999", "good.cif", ids[0])
    assert found == {
        ids[1]: FORMULAS[1],
        "mp-999999999": "missing structure: the Materials Project has none of this id",
        "good.cif": FORMULAS[0],
        ids[0]: FORMULAS[0],
    }
    assert len(service.questions) == 2


def test_without_a_key_or_an_answer_each_id_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MP_API_KEY", raising=False)
    Path("good.cif").write_text(GOOD["a.cif"])
    found = read("mp-149", "mp-150", "good.cif")
    assert found["mp-149"] == found["mp-150"]
    assert found["mp-149"].startswith("unreadable: the Materials Project needs a key: ")
    assert found["good.cif"] == FORMULAS[0]
    service = Service(summary_documents(1), failures=[error(403)])
    monkeypatch.setenv("MP_API_KEY", KEY)
    with materials_project(service) as address:
        monkeypatch.setenv("MP_API_ENDPOINT", address)
        assert "check the key in MP_API_KEY" in read("mp-149")["mp-149"]


def test_structures_and_atoms_in_python_are_the_same_crystals() -> None:
    Path("good.cif").write_text(GOOD["a.cif"])
    for made in ([structure(c) for c in REAL], [atoms(c) for c in REAL]):
        found = [item.crystal() for item in items_of_objects(made)]
        for crystal, original in zip(found, REAL, strict=True):
            assert crystal.atomic_numbers.tolist() == original.atomic_numbers.tolist()
            np.testing.assert_allclose(crystal.lattice, original.lattice, atol=1e-9)
            shift = crystal.frac_coords - original.frac_coords
            np.testing.assert_allclose(shift - np.rint(shift), 0, atol=1e-9)
    mixed = [structure(REAL[0]), Path("good.cif"), "good.cif", atoms(REAL[1])]
    assert [item.id for item in items_of_objects(mixed)] == ["0", "good.cif", "good.cif", "3"]
    assert [item.id for item in items_of_objects(structure(REAL[0]))] == ["0"]
    for wrong in (3, [3], None):
        with pytest.raises(UserError, match="a crystal is a structure of pymatgen, atoms of ASE or a path, not a"):
            list(items_of_objects(wrong))


def test_disorder_and_molecules_are_reasons() -> None:
    mixed = structure(REAL[0])
    mixed.replace(0, {"Na": 0.5, "K": 0.5})
    molecule = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]])
    reasons = []
    for item in items_of_objects([mixed, molecule]):
        with pytest.raises(BadCrystal) as reason:
            item.crystal()
        reasons.append(str(reason.value))
    assert reasons == ["disordered: site 0 holds Na 0.5, K 0.5", "not periodic: pbc is False False False"]


def test_chunks_are_bounded_by_number_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    items = [Item(str(n), REAL[0]) for n in range(2 * AT_ONCE + 1)]
    assert [len(chunk) for chunk in chunks(items)] == [AT_ONCE, AT_ONCE, 1]
    as_folder(Path("mine"), GOOD)
    size = max(len(content) for content in GOOD.values())
    monkeypatch.setattr("sitenet.prediction.inputs.items.BYTES_AT_ONCE", size)
    found = list(chunks(open_inputs(["mine"]).items))
    assert 1 < len(found) <= len(GOOD)
    assert [item.id for chunk in found for item in chunk] == [f"mine/{name}" for name in sorted(GOOD)]
