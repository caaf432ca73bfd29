"""Flags of a crystal beside the bundled crystals as a training set."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from sitenet.data.crystal import Crystal
from sitenet.errors import UserError
from sitenet.prediction.uncertainty.flags import flags
from sitenet.prediction.uncertainty.sketch import Sketch, sketch
from sitenet.prediction.uncertainty.training_set import TrainingSet
from tests.real_crystals import SOME_IDS, crystals
from tests.unit.cells import to_crystal, to_structure

HIGH_SPREAD = 0.3


@cache
def training() -> TrainingSet:
    return TrainingSet.collect([sketch(crystal) for crystal in crystals().values()])


def found(crystal: Crystal, spread: float = 0.0) -> list[str]:
    return list(flags(sketch(crystal), spread, training(), HIGH_SPREAD))


def kinds(crystal: Crystal) -> list[str]:
    return [flag.split(":")[0] for flag in found(crystal)]


def strained(crystal: Crystal, factor: float) -> Crystal:
    return replace(crystal, lattice=crystal.lattice * factor)


def displaced(crystal: Crystal, length: float) -> Crystal:
    """Every site moved by about this length in angstrom."""
    steps = np.random.default_rng(0).normal(size=crystal.frac_coords.shape) * length / np.sqrt(3)
    return replace(crystal, frac_coords=crystal.frac_coords + steps @ np.linalg.inv(crystal.lattice))


def other_cell(crystal: Crystal) -> Crystal:
    """The same crystal: twice the cell, skewed, another origin and order."""
    structure = to_structure(crystal)
    structure.make_supercell(np.array([[2, 0, 0], [1, 1, 0], [0, -1, 1]]))
    structure.translate_sites(range(len(structure)), [0.1, 0.2, 0.3])
    moved = to_crystal(structure)
    order = np.random.default_rng(0).permutation(len(moved.atomic_numbers))
    return replace(moved, atomic_numbers=moved.atomic_numbers[order], frac_coords=moved.frac_coords[order])


@pytest.mark.parametrize("id_", SOME_IDS)
def test_the_choice_of_cell_does_not_matter(id_: str) -> None:
    one, other = sketch(crystals()[id_]), sketch(other_cell(crystals()[id_]))
    assert (one.elements, one.counts, one.formula) == (other.elements, other.counts, other.formula)
    for field in ("volume", "fingerprint", "pairs", "shortest"):
        np.testing.assert_allclose(getattr(one, field), getattr(other, field), rtol=0, atol=1e-6)


@pytest.mark.parametrize("id_", SOME_IDS)
def test_a_training_crystal_is_known_as_it_is_and_a_little_changed(id_: str) -> None:
    crystal = crystals()[id_]
    for same in (crystal, other_cell(crystal), strained(crystal, 1.015), displaced(crystal, 0.01)):
        assert "known structure" in found(same)
    assert "known structure" not in found(strained(crystal, 1.05))
    assert kinds(strained(crystal, 1.05))[0] == "known formula"


def test_most_polymorphs_are_told_apart() -> None:
    sketches: dict[int, list[Sketch]] = {}
    for crystal in crystals().values():
        sketches.setdefault((one := sketch(crystal)).formula, []).append(one)
    several = [one for group in sketches.values() if len(group) > 1 for one in group]
    confused = sum(training().count(one)[1] > 1 for one in several)
    assert len(several) > 100
    assert confused < 0.1 * len(several)


def test_an_unknown_formula_is_not_known() -> None:
    crystal = crystals()["mp-252"]
    unknown = replace(crystal, atomic_numbers=np.full_like(crystal.atomic_numbers, 118))
    assert training().count(sketch(unknown)) == (0, 0)


def test_elements_hardly_or_never_seen() -> None:
    salt = Crystal("OgTs", 6 * np.eye(3), np.array([118, 117]), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]))
    assert found(salt)[:2] == ["element: Ts in no training crystal", "element: Og in no training crystal"]


def test_a_squeezed_crystal_has_short_distances() -> None:
    flag = next(flag for flag in found(strained(crystals()["mp-252"], 0.8)) if flag.startswith("distance"))
    assert "angstrom, at least" in flag


def test_density_outside_the_training_range() -> None:
    assert "density" in kinds(strained(crystals()["mp-252"], 1.7))
    assert "density" not in kinds(crystals()["mp-252"])


def test_more_sites_than_any_training_crystal() -> None:
    crystal = max(crystals().values(), key=lambda one: len(one.atomic_numbers))
    structure = to_structure(crystal)
    structure.make_supercell([2, 2, 2])
    assert "size" in kinds(displaced(to_crystal(structure), 0.1))
    assert "size" not in kinds(crystal)


def test_disagreement_of_the_networks() -> None:
    assert "spread: the networks disagree" in found(crystals()["mp-252"], spread=HIGH_SPREAD + 0.01)
    assert not any(flag.startswith("spread") for flag in found(crystals()["mp-252"], spread=HIGH_SPREAD))


def test_file_reads_as_it_was_written_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "training_set.npz"
    training().write(path)
    again = TrainingSet.read(path)
    for name, values in vars(training()).items():
        np.testing.assert_array_equal(getattr(again, name), values)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="cannot be read"):
        TrainingSet.read(path)
