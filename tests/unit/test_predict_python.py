"""The model in Python: data frame, estimator and calculator, with the networks that come with the package."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import CalculationFailed, PropertyNotImplementedError
from pymatgen.core import Structure
from sklearn.base import clone
from sklearn.metrics import mean_absolute_error

from sitenet import load_model
from sitenet.data.formula import standard_formula
from sitenet.data.table import write_crystals
from sitenet.errors import UserError
from sitenet.prediction import stream
from sitenet.prediction.inputs import items
from sitenet.prediction.inputs.items import Item
from sitenet.prediction.model import Model, Predicted, Prepared, columns_of, prepare
from sitenet.prediction.networks import find_networks
from sitenet.prediction.output import choose_format, writing
from sitenet.prediction.wrappers import CrystalCalculator, CrystalRegressor
from tests.own_files import GOOD, REAL, as_folder, structure

INTERVALS = ["low_80", "high_80", "low_95", "high_95", "metal", "flags"]
COLUMNS = ["id", "formula", "prediction", "spread", *INTERVALS, "unit", "reason"]


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(device="cpu")


def test_importing_sitenet_is_light() -> None:
    code = (
        "import sys, sitenet; print([n for n in ('torch', 'pymatgen', 'pandas', 'numpy', 'ase') if n in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
    with pytest.raises(AttributeError, match="has no attribute 'load_models'"):
        sys.modules["sitenet"].load_models  # noqa: B018


def test_predicting_imports_only_what_every_prediction_needs() -> None:
    late = ["sklearn", "ase", "scipy.optimize", "pymatgen.io.vasp"]
    code = f"import sys, sitenet.prediction.command; print([n for n in {late} if n in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_json_lines_have_the_digits_of_csv(model: Model, tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": ["a", "ü/b"], "prediction": [3.2109876543e-13, np.nan], "reason": [None, "why"]})
    for name in ("a.csv", "a.jsonl"):
        with writing(tmp_path / name, choose_format(tmp_path / name, None), model) as write:
            write(frame)
    assert (tmp_path / "a.csv").read_text().splitlines()[1] == "a,3.210988e-13,"
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert rows == [
        {"id": "a", "prediction": 3.210988e-13, "reason": None},
        {"id": "ü/b", "prediction": None, "reason": "why"},
    ]


def test_structures_atoms_and_paths_are_predicted_alike(model: Model, tmp_path: Path) -> None:
    as_folder(tmp_path, GOOD)
    frame = model.predict([structure(crystal) for crystal in REAL])
    assert list(frame) == COLUMNS
    assert frame["id"].tolist() == [str(n) for n in range(len(REAL))]
    assert frame["formula"].tolist() == [standard_formula(c.atomic_numbers.tolist()) for c in REAL]
    assert (frame["spread"] > 0).all()
    assert frame["reason"].isna().all()
    atoms = [Atoms(numbers=c.atomic_numbers, cell=c.lattice, scaled_positions=c.frac_coords, pbc=True) for c in REAL]
    paths = [tmp_path / name for name in GOOD]
    for same in (atoms, (a for a in atoms), paths):
        np.testing.assert_allclose(model.predict(same)["prediction"], frame["prediction"], atol=1e-4)
    assert model.predict(str(tmp_path))["prediction"].sum() == pytest.approx(frame["prediction"].sum(), abs=1e-3)
    assert len(model.predict(atoms[0])) == len(model.predict(paths[0])) == 1


def test_what_cannot_be_used_is_a_row_with_its_reason(model: Model) -> None:
    molecule = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]])
    frame = model.predict([structure(REAL[0]), molecule, "none.cif"])
    assert frame["reason"].tolist() == [None, "not periodic: pbc is False False False", "missing file: no such file"]
    assert frame["prediction"].isna().tolist() == [False, True, True]
    assert list(model.predict([])) == COLUMNS
    with pytest.raises(UserError, match="not a dict"):
        model.predict([structure(REAL[0]).as_dict()])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("atoms", "reason"),
    [
        (Atoms("Au", cell=[4, 4, 4], pbc=True, info={"occupancy": {"0": {"Cu": 0.5, "Au": 0.5}}}), "Cu 0.5, Au 0.5"),
        (
            Atoms("Ti", cell=[4, 4, 4], pbc=True, info={"occupancy": {0: {"Ti": 0.5}}}),
            "disordered: a site holds Ti 0.5",
        ),
        (Atoms(numbers=[119], cell=[4, 4, 4], pbc=True), "unknown element: atomic number 119 is not in 1..118"),
        (Atoms(cell=[4, 4, 4], pbc=True), "empty: the structure has no sites"),
    ],
)
def test_atoms_that_are_no_ordered_crystal_are_rows_with_their_reason(model: Model, atoms: Atoms, reason: str) -> None:
    frame = model.predict([atoms, structure(REAL[0])])
    assert reason in frame["reason"][0]
    assert frame["reason"].isna().tolist() == [False, True]


def test_full_occupancies_beside_atoms_are_no_disorder(model: Model) -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.64)
    atoms.info["occupancy"] = {"0": {"Na": 1.0}, "1": {"Cl": 1.0}}
    assert model.predict(atoms)["reason"].isna().all()


def test_a_network_that_gives_no_number_costs_one_crystal(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = prepare([Item(crystal.id, crystal) for crystal in REAL], model.features)
    whole = model.frame(prepared)["prediction"]
    network = model.predictors[0].model
    forward = network.forward

    def broken(batch):  # type: ignore[no-untyped-def]
        predictions = forward(batch)
        return torch.where(predictions == predictions.max(), torch.nan, predictions) if len(predictions) > 1 else (
            torch.full_like(predictions, torch.nan) if (batch.atomic_numbers == 17).any() else predictions
        )  # fmt: skip

    monkeypatch.setattr(network, "forward", broken)
    frame = model.frame(prepared)
    bad = frame["formula"].eq("CdCl2")
    assert bad.sum() == 1
    assert frame["reason"].notna().tolist() == bad.tolist()
    assert set(frame.loc[bad, "reason"]) == {"not finite: a network gives no number for this crystal"}
    np.testing.assert_allclose(frame["prediction"][~bad], whole[~bad], atol=1e-4)


def test_one_strange_crystal_does_not_end_the_others(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sitenet.prediction.model.featurize", lambda crystal, settings: 1 / 0)
    frame = model.predict(structure(REAL[0]))
    assert frame["reason"].tolist() == ["failed: ZeroDivisionError: division by zero"]


def test_processes_give_the_same_rows_in_order(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_crystals(tmp_path / "structures.parquet", REAL * 3)
    monkeypatch.setattr(items, "AT_ONCE", 4)
    monkeypatch.setattr(stream, "ALONE", 1)
    alone = model.predict(tmp_path / "structures.parquet", cores=1)
    shared = model.predict(tmp_path / "structures.parquet", cores=2)
    assert shared["id"].tolist() == alone["id"].tolist() == [crystal.id for crystal in REAL * 3]
    np.testing.assert_allclose(shared["prediction"], alone["prediction"], atol=1e-4)


def test_with_a_gpu_the_processes_only_prepare(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU is needed to see that the networks' part is left to the process that has the model."""
    write_crystals(tmp_path / "structures.parquet", REAL * 3)
    monkeypatch.setattr(items, "AT_ONCE", 4)
    monkeypatch.setattr(stream, "ALONE", 1)
    alone = model.predict(tmp_path / "structures.parquet", cores=1)
    seen: list[int] = []
    monkeypatch.setattr(Model, "is_on_gpu", True)
    predicted = Model.predicted

    def counted(own: Model, prepared: Prepared) -> Predicted:
        seen.append(len(prepared.ids))
        return predicted(own, prepared)

    monkeypatch.setattr(Model, "predicted", counted)
    shared = model.predict(tmp_path / "structures.parquet", cores=2)
    assert seen == [4, 4, 4, 4, 2]
    assert shared["id"].tolist() == alone["id"].tolist()
    np.testing.assert_allclose(shared["prediction"], alone["prediction"], atol=1e-4)


def test_crystals_are_read_when_they_are_needed(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, no more than a few chunks are in memory."""
    monkeypatch.setattr(items, "AT_ONCE", 2)
    monkeypatch.setattr(stream, "ALONE", 1)
    read = 0

    def endless():  # type: ignore[no-untyped-def]
        nonlocal read
        while True:
            read += 1
            yield Item(str(read), REAL[0])

    for cores in (1, 2):
        read = 0
        rows = stream.frames(model, endless(), cores)
        assert [next(rows)[0]["id"].tolist() for _ in range(3)] == [["1", "2"], ["3", "4"], ["5", "6"]]
        assert read <= 2 * (stream.WAITING * cores + 4)
        rows.close()  # type: ignore[attr-defined]


def test_columns_are_added_in_one_place(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_flags(own: Model, predicted):  # type: ignore[no-untyped-def]
        assert own.pretrained is not None
        flags = ["large" if len(crystal.atomic_numbers) > 3 else "" for crystal in predicted.crystals]
        return dict(columns_of(own, predicted)) | {"lowest": predicted.members.min(axis=0), "flags": flags}

    monkeypatch.setattr("sitenet.prediction.model.columns_of", with_flags)
    frame = model.predict([structure(REAL[0]), "none.cif", structure(REAL[1])])
    assert list(frame) == [*COLUMNS[:-2], "lowest", *COLUMNS[-2:]]
    assert (frame["lowest"] <= frame["prediction"])[[0, 2]].all()


def test_loading_leaves_the_settings_of_torch_alone(model: Model) -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    load_model(device="cpu").predict(structure(REAL[0]))
    assert torch.equal(torch.rand(3), expected)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_names_of_models(tmp_path: Path) -> None:
    shipped = find_networks("band-gap")
    assert shipped.pretrained is not None
    folder = shipped.pretrained.folder
    assert find_networks(folder).files == shipped.files
    assert find_networks(sorted(folder.glob("seed*.pt"))).files == shipped.files
    with pytest.raises(UserError, match=r"model 'band-gaps' is unknown; did you mean 'band-gap'\?"):
        find_networks("band-gaps")
    with pytest.raises(UserError, match="a checkpoint is given twice"):
        find_networks(["band-gap", folder / "seed0.pt"])
    with pytest.raises(UserError, match=r"holds no best\.pt"):
        find_networks(tmp_path)


def test_an_estimator_of_scikit_learn(model: Model) -> None:
    crystals = [structure(crystal) for crystal in REAL]
    regressor = clone(CrystalRegressor(device="cpu", cores=1))
    found = regressor.fit(crystals, np.zeros(len(crystals))).predict(crystals)
    expected = model.predict(crystals)["prediction"]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert mean_absolute_error(expected, found) < 1e-4
    assert regressor.score(crystals, expected) == pytest.approx(1)
    with pytest.warns(UserWarning, match="1 of 2 crystals cannot be used and are NaN: missing file"):
        assert np.isnan(CrystalRegressor(device="cpu").predict([crystals[0], "none.cif"])).tolist() == [False, True]


def test_a_calculator_of_ase(model: Model) -> None:
    silicon = bulk("Si", a=5.43)
    silicon.calc = CrystalCalculator(model)
    expected = model.predict(silicon).loc[0]
    assert silicon.calc.get_property("band_gap", silicon) == pytest.approx(expected["prediction"])
    assert silicon.calc.get_property("spread", silicon) == pytest.approx(expected["spread"])
    silicon.set_cell(silicon.cell * 1.05, scale_atoms=True)
    assert abs(silicon.calc.get_property("band_gap", silicon) - expected["prediction"]) > 1e-3
    with pytest.raises(PropertyNotImplementedError):
        silicon.calc.get_property("energy", silicon)
    silicon.pbc = False
    with pytest.raises(CalculationFailed, match="not periodic"):
        silicon.calc.get_property("band_gap", silicon)


def test_equal_predictions_of_a_cell_and_its_supercell(model: Model) -> None:
    cell = Structure.from_ase_atoms(bulk("NaCl", "rocksalt", a=5.69))
    first, second = model.predict([cell, cell.make_supercell(2, in_place=False)])["prediction"]
    assert first == pytest.approx(second, abs=1e-4)
