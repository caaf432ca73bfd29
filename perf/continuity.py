"""Draws predicted band gaps against the lattice constant, through every shell that crosses the radius.

    python perf/continuity.py reference=<run>/best.pt faded=<run>/best.pt --output results/continuity

Four cubic crystals are stretched from 95 to 105 % of their size in steps of 0.001 angstrom. The figure has a panel for
each of them and a line for each network; the table has the largest and the median change of a step. A network without
`envelope` jumps where a shell enters or leaves its sphere.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from sitenet.data.crystal import Crystal
from sitenet.evaluation.figures.style import BLUE, FIGURE_STYLE, GREY, ORANGE, panel_grid, save_figure
from sitenet.features.featurize import featurize
from sitenet.models.base.batch import collate
from sitenet.prediction.predictor import Predictor

STEP = 0.001  # angstrom
# Space group, measured lattice constant in angstrom at room temperature, elements and positions.
CRYSTALS: dict[str, tuple[str, float, list[str], list[list[float]]]] = {
    "NaCl": ("Fm-3m", 5.640, ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "Si": ("Fd-3m", 5.431, ["Si"], [[0, 0, 0]]),
    "MgO": ("Fm-3m", 4.212, ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "CsCl": ("Pm-3m", 4.123, ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
}


def stretched(formula: str) -> tuple[NDArray[np.float64], list[Crystal]]:
    """Lattice constants, and the primitive cell at each."""
    group, measured, elements, positions = CRYSTALS[formula]
    constants = np.arange(0.95 * measured, 1.05 * measured, STEP)
    cell = Structure.from_spacegroup(group, Lattice.cubic(measured), elements, positions).get_primitive_structure()
    lattice, numbers = cell.lattice.matrix / measured, np.array(cell.atomic_numbers)
    return constants, [Crystal(formula, lattice * a, numbers, cell.frac_coords) for a in constants]


@torch.inference_mode()
def predicted_gaps(predictor: Predictor, crystals: list[Crystal]) -> NDArray[np.float64]:
    """In float64, so that rounding makes no step."""
    point_sets = [featurize(crystal, predictor.trial.features) for crystal in crystals]
    model = predictor.model.double()
    return np.concatenate([model(collate([sites], torch.float64)).numpy() for sites in point_sets])


def draw(curves: pd.DataFrame) -> Figure:
    """One panel a crystal, one line a network."""
    with mpl.rc_context(FIGURE_STYLE):
        figure, panels = panel_grid(len(CRYSTALS))
        for axes, (formula, of_crystal) in zip(panels, curves.groupby("crystal", sort=False), strict=True):
            measured = CRYSTALS[str(formula)][1]
            for (name, line), colour in zip(
                of_crystal.groupby("network", sort=False), (ORANGE, BLUE, GREY), strict=False
            ):
                axes.plot(line["lattice_constant"] / measured, line["gap"], color=colour, linewidth=1, label=name)
            axes.set_title(f"{formula}, measured {measured:.3f} Å", loc="left")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
        figure.supxlabel("lattice constant over the measured one", fontsize="medium")
        figure.supylabel("predicted gap (eV)", fontsize="medium")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("networks", nargs="+", metavar="name=best.pt", help="at most three")
    parser.add_argument("--output", type=Path, default=Path("results/continuity"), help="folder")
    arguments = parser.parse_args()
    rows = []
    for name, _, checkpoint in (argument.partition("=") for argument in arguments.networks):
        predictor = Predictor.load(Path(checkpoint), "cpu")
        for formula in CRYSTALS:
            constants, crystals = stretched(formula)
            gaps = predicted_gaps(predictor, crystals)
            rows.append(pd.DataFrame({"network": name, "crystal": formula, "lattice_constant": constants, "gap": gaps}))
    curves = pd.concat(rows)
    arguments.output.mkdir(parents=True, exist_ok=True)
    curves.to_csv(arguments.output / "gaps.csv", index=False, float_format="%.6f")
    save_figure(draw(curves), [arguments.output / "continuity.svg", arguments.output / "continuity.png"])
    steps = curves.groupby(["crystal", "network"], sort=False)["gap"].agg(
        largest_step=lambda gap: gap.diff().abs().max(), median_step=lambda gap: gap.diff().abs().median()
    )
    print(steps.to_string(float_format="%.5f"))


if __name__ == "__main__":
    main()
