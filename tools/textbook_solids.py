"""Writes docs/textbook_solids.md: what the model that comes with the package says of five solids everyone knows.

python -m tools.textbook_solids                                  # with the PBE references in textbook_solids.json
python -m tools.textbook_solids results/data/matbench_mp_gap     # reads these anew from the data first
"""

import argparse
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from ase import Atoms
from ase.build import bulk
from matplotlib.figure import Figure
from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from sitenet.data.formula import standard_formula
from sitenet.data.matbench_task import official_folds
from sitenet.data.table import CrystalTable
from sitenet.evaluation.figures.style import BLUE, FIGURE_STYLE, save_figure
from sitenet.evaluation.tables.rounding import measured
from sitenet.features.featurize import SHELL_MARGIN
from sitenet.files import write_text
from sitenet.prediction.card import DEFAULT
from sitenet.prediction.model import Model, load_model

DOCS = Path(__file__).parents[1] / "docs"
PAGE, FIGURE = DOCS / "textbook_solids.md", DOCS / "images" / "textbook_solids.png"
REFERENCES = Path(__file__).with_suffix(".json")
TASK = "matbench_mp_gap"
STRAINS = np.linspace(-0.1, 0.1, 201)  # of the lattice constant


@dataclass(frozen=True)
class Solid:
    """A cubic solid.

    Attributes:
        formula: Its formula.
        prototype: Name of its structure, as ASE has it.
        group: Number of its space group.
        measured: Lattice constant at room temperature in angstrom.
        source: Who measured it.
    """

    formula: str
    prototype: str
    group: int
    measured: float
    source: str

    def atoms(self, lattice_constant: float) -> Atoms:
        """The primitive cell."""
        return bulk(self.formula, self.prototype, a=lattice_constant)


SOLIDS = (
    Solid("Si", "diamond", 227, 5.4310, "Tiesinga et al., Rev. Mod. Phys. 93, 025010 (2021)"),
    Solid("GaAs", "zincblende", 216, 5.6533, "Vurgaftman et al., J. Appl. Phys. 89, 5815 (2001)"),
    Solid("MgO", "rocksalt", 225, 4.213, "Swanson and Tatge, NBS Circular 539, vol. 1 (1953)"),
    Solid("NaCl", "rocksalt", 225, 5.6402, "Swanson and Fuyat, NBS Circular 539, vol. 2 (1953)"),
    Solid("Cu", "fcc", 225, 3.6149, "Straumanis and Yu, Acta Cryst. A 25, 676 (1969)"),
)

INTRODUCTION = """\
# Five textbook solids

This page is written by `python -m tools.textbook_solids` with the model `{model}` that comes with the package. Gaps
are in eV, lattice constants a in angstrom.

PBE references are crystals of `matbench_mp_gap`, relaxed with PBE, with their PBE gaps from the Materials Project
([Jain et al. 2013](https://doi.org/10.1063/1.4812323), [Dunn et al.
2020](https://doi.org/10.1038/s41524-020-00406-3)). The networks learnt from some of them, as the last column says: a
small error there is no merit. A spread is how far the networks disagree, no error bar; on all test crystals the mean
absolute error is {error} eV.

## At the lattice constant of PBE

"""
MEASURED = """

## At the measured lattice constant

There is no reference at this lattice constant: PBE was not computed there. Compressing or stretching a crystal
changes its PBE gap, so that the prediction need not be that of the table above. It is not a measured gap either: PBE
gaps are smaller than measured ones.

"""
STRAINED = """

Lattice constants at room temperature: {sources}.

## Under strain

A site sees its neighbours within {radius:g} angstrom. When the lattice constant changes, shells of neighbours cross
this edge. [An envelope](models.md#a-smooth-edge) lets them fade out before, so that the curves below have no jumps.
The networks learnt from relaxed crystals alone: that a curve is smooth does not make it right far from its circle.

The table has the largest change of the prediction where a shell crosses the edge, within 10 % of the PBE lattice
constant, between 0.01 % below and above.

"""
END = """

![Predicted gaps against the lattice constant](images/textbook_solids.png)

Circles: PBE references. Dashed: the measured lattice constant. Dotted: a shell crosses the edge of the sphere.
"""


def read_references(data: Path) -> dict[str, dict[str, Any]]:
    """Id, lattice constant and PBE gap of each solid in a benchmark's data; each is there once."""
    gaps = pd.read_parquet(data / "targets.parquet").set_index("id")["target"].to_dict()
    found: dict[str, dict[str, Any]] = {}
    wanted = {solid.formula: solid for solid in SOLIDS}
    for crystal in CrystalTable.open(data / "structures.parquet").crystals():
        solid = wanted.get(standard_formula(crystal.atomic_numbers.tolist()))
        if solid is None or len(crystal.atomic_numbers) > 2:
            continue
        structure = Structure(crystal.lattice, crystal.atomic_numbers.tolist(), crystal.frac_coords)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            analyzer = SpacegroupAnalyzer(structure)
            if analyzer.get_space_group_number() == solid.group:
                a = analyzer.get_conventional_standard_structure().lattice.a
                gap = round(gaps[crystal.id], 4)
                found[solid.formula] = {"id": crystal.id, "lattice_constant": round(a, 4), "gap": gap}
    return {solid.formula: found[solid.formula] for solid in SOLIDS}


def page(model: Model, references: dict[str, dict[str, Any]]) -> str:
    """The whole page."""
    assert model.pretrained is not None, "the model has a card"
    card = model.pretrained.card
    test = set(official_folds(TASK)[card.data.fold][1])
    at_pbe = _gaps(model, [solid.atoms(references[solid.formula]["lattice_constant"]) for solid in SOLIDS])
    at_measured = _gaps(model, [solid.atoms(solid.measured) for solid in SOLIDS])
    rows = {"pbe": "", "measured": "", "crossings": ""}
    for solid, pbe, seen in zip(SOLIDS, at_pbe, at_measured, strict=True):
        own = references[solid.formula]
        part = "test crystal" if own["id"] in test else "training or validation crystal"
        rows["pbe"] += (
            f"| {solid.formula} | {own['lattice_constant']:.3f} | {own['gap']:.2f} | {pbe[0]:.2f} ± {pbe[1]:.2f} "
            f"| {pbe[0] - own['gap']:+.2f} | `{own['id']}`, {part} |\n"
        )
        rows["measured"] += f"| {solid.formula} | {solid.measured:g} | {seen[0]:.2f} ± {seen[1]:.2f} |\n"
        rows["crossings"] += f"| {solid.formula} | {_largest_change(model, solid, own['lattice_constant'])} |\n"
    sources = "; ".join(f"{solid.formula}: {solid.source}" for solid in SOLIDS)
    return (
        INTRODUCTION.format(model=model.name, error=measured(card.test.mae, card.test.low, card.test.high))
        + "| solid | a, PBE | PBE gap | predicted ± spread | error | reference |\n|---|--:|--:|--:|--:|---|\n"
        + rows["pbe"].rstrip("\n")
        + MEASURED
        + "| solid | a, measured | predicted ± spread |\n|---|--:|--:|\n"
        + rows["measured"].rstrip("\n")
        + STRAINED.format(sources=sources, radius=model.features.radius)
        + "| solid | largest change |\n|---|---|\n"
        + rows["crossings"].rstrip("\n")
        + END
    )


def _gaps(model: Model, crystals: Sequence[Atoms]) -> np.ndarray:
    """(C, 2) predictions and their spread."""
    return model.predict(crystals)[["prediction", "spread"]].to_numpy()


def crossings(solid: Solid, low: float, high: float, radius: float) -> list[float]:
    """Lattice constants between two at which a shell of the solid has this radius."""
    atoms = solid.atoms(1.0)
    cells = np.array(np.meshgrid(*[range(-4, 5)] * 3)).reshape(3, -1).T @ np.array(atoms.cell)
    shells = np.unique(
        np.round([np.linalg.norm(cells + b - a, axis=1) for a in atoms.positions for b in atoms.positions], 9)
    )
    return [float(a) for a in radius / shells[shells > 0] if low < a < high]


def _largest_change(model: Model, solid: Solid, a: float) -> str:
    """The largest change of a prediction where a shell crosses the edge."""
    assert model.features.radius is not None, "the networks see spheres"
    edge = model.features.radius + SHELL_MARGIN
    found = crossings(solid, a * (1 + STRAINS[0]), a * (1 + STRAINS[-1]), edge)
    if not found:
        return "none: no shell crosses the edge"
    sides = _gaps(model, [solid.atoms(x * (1 + side)) for x in found for side in (-1e-4, 1e-4)])[:, 0].reshape(-1, 2)
    changes = sides[:, 1] - sides[:, 0]
    largest = int(np.abs(changes).argmax())
    return f"{sides[largest, 0]:.4f} to {sides[largest, 1]:.4f} ({changes[largest]:+.4f}) at a = {found[largest]:.3f}"


def figure(model: Model, references: dict[str, dict[str, Any]]) -> Figure:
    """Predictions against the lattice constant, one panel a solid."""
    with mpl.rc_context(FIGURE_STYLE):
        drawn = Figure(figsize=(10, 2.6), layout="constrained")
        for axes, solid in zip(np.atleast_1d(drawn.subplots(1, len(SOLIDS))), SOLIDS, strict=True):
            own = references[solid.formula]
            constants = own["lattice_constant"] * (1 + STRAINS)
            axes.plot(constants, _gaps(model, [solid.atoms(a) for a in constants])[:, 0], ".", ms=2.5, color=BLUE)
            axes.plot(own["lattice_constant"], own["gap"], "o", mfc="none", color="black")
            axes.axvline(solid.measured, ls="--", lw=0.8, color="grey")
            for a in crossings(solid, constants[0], constants[-1], model.features.radius or 0):
                axes.axvline(a, ls=":", lw=0.8, color="grey")
            axes.set_title(solid.formula, loc="left")
            axes.set_ylim(-0.1, max(1, 1.1 * axes.get_ylim()[1]))
        drawn.supxlabel("lattice constant (angstrom)", fontsize="medium")
        drawn.supylabel("gap (eV)", fontsize="medium")
    return drawn


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="results/data/<name> of matbench_mp_gap")
    data = parser.parse_args().data
    if data is not None:
        write_text(REFERENCES, json.dumps(read_references(data), indent=1) + "\n")
    references, model = json.loads(REFERENCES.read_text("utf-8")), load_model(DEFAULT, "cpu")
    write_text(PAGE, page(model, references))
    save_figure(figure(model, references), [FIGURE])


if __name__ == "__main__":
    main()
