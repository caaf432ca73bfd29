"""Intervals and flags of the model that comes with the package."""

from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from sitenet import load_model
from sitenet.prediction.explain.explanation import explain
from sitenet.prediction.model import Model

ROCK_SALT: list[list[float]] = [[0, 0, 0], [0.5, 0.5, 0.5]]


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("band-gap", "cpu")


def rock_salt(a: float, *elements: str) -> Structure:
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), list(elements), ROCK_SALT)


def test_intervals_contain_the_prediction_and_each_other(model: Model) -> None:
    frame = model.predict([rock_salt(5.69, "Na", "Cl"), rock_salt(4.26, "Mg", "O"), rock_salt(4.6, "Na", "Cl")])
    ends = frame[["low_95", "low_80", "prediction", "high_80", "high_95"]].to_numpy()
    assert (np.diff(ends, axis=1) >= 0).all()
    assert (frame["metal"].between(0, 1)).all()


def test_a_textbook_solid_is_known_and_a_squeezed_one_is_doubtful(model: Model) -> None:
    known, squeezed = model.predict([rock_salt(5.69, "Na", "Cl"), rock_salt(4.6, "Na", "Cl")])["flags"]
    assert known == "known structure"
    assert {flag.split(":")[0] for flag in squeezed.split("; ")} >= {"known formula", "density"}


def test_unknown_elements_have_no_interval(model: Model, recwarn: pytest.WarningsRecorder) -> None:
    frame = model.predict([rock_salt(6.2, "Og", "Ts"), rock_salt(5.69, "Na", "Cl")])
    assert frame["flags"][0].startswith("element: Ts in no training crystal; element: Og in no training crystal")
    assert frame[["low_80", "high_80", "low_95", "high_95", "metal"]].isna().all(axis=1).tolist() == [True, False]
    assert not [warning for warning in recwarn if "electronegativity" in str(warning.message)]


def test_a_crystal_that_cannot_be_read_has_neither(model: Model) -> None:
    frame = model.predict(["none.cif", rock_salt(5.69, "Na", "Cl")])
    assert frame["low_95"].isna().tolist() == [True, False]
    assert frame["reason"].notna().tolist() == [True, False]


def test_the_explanation_of_a_crystal_has_them(tmp_path: Path) -> None:
    rock_salt(5.69, "Na", "Cl").to(filename=str(tmp_path / "salt.cif"))
    rock_salt(6.2, "Og", "Ts").to(filename=str(tmp_path / "unknown.cif"))
    known, unknown = (dict(explain(str(tmp_path / name)).more) for name in ("salt.cif", "unknown.cif"))
    assert list(known) == ["80 % interval", "95 % interval", "probability of a metal", "flags"]
    assert known["flags"] == "known structure"
    assert list(unknown) == ["flags"]
