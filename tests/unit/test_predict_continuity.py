"""Predictions of a strained crystal, as users get them, are a continuous curve if the network has an envelope."""

from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from sitenet import load_model
from sitenet.settings.features import FeatureSettings
from sitenet.settings.section import Section
from sitenet.training.run import train
from tests.training_case import CGCNN_NETWORK, RADIAL_NETWORK, SCHNET_NETWORK, write_inputs

ROCK_SALT = Structure(Lattice.from_parameters(1, 1, 1, 60, 60, 60), ["Na", "Cl"], np.array([[0, 0, 0], [0.5] * 3]))
CROSSINGS = np.arange(5.3, 6.0, 0.004)  # lattice constants; the second shell of NaCl crosses 4 angstrom at 5.66


def trained(folder: Path, network: Section) -> Path:
    inputs = write_inputs(folder, features=FeatureSettings(radius=4.0))
    train(inputs.job(folder / "run", network))
    return folder / "run" / "best.pt"


def largest_jump(model: str | Path) -> float:
    """The largest change of a model's prediction between two steps of `CROSSINGS`, in units of the median one."""
    lattices = [Lattice(ROCK_SALT.lattice.matrix * a / np.sqrt(2)) for a in CROSSINGS]
    strained = [Structure(lattice, ROCK_SALT.species, ROCK_SALT.frac_coords) for lattice in lattices]
    changes = np.abs(np.diff(load_model(model, "cpu").predict(strained)["prediction"]))
    return float(changes.max() / np.median(changes))


@pytest.mark.parametrize("envelope", [True, False])
@pytest.mark.parametrize("network", [RADIAL_NETWORK, CGCNN_NETWORK, SCHNET_NETWORK], ids=lambda network: network.kind)
def test_a_strained_crystal_jumps_only_without_an_envelope(network: Section, envelope: bool, tmp_path: Path) -> None:
    network = network.model_copy(update={"envelope": envelope, "cutoff": 4.0})
    assert (largest_jump(trained(tmp_path, network)) < 50) == envelope


def test_the_shipped_model_is_continuous() -> None:
    assert largest_jump("band-gap") < 50
