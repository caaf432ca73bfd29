"""Error against how far a network sees, for the page docs/long_range.md: a table (CSV, Markdown) and a figure.

    python -m tools.long_range RESULTS SCREENED_RESULTS docs/results/long_range

The two folders `results/` hold the finished runs of `configs/long_range.yaml`, with all and with screened charges.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import erfc

from sitenet.config.benchmark import Benchmark
from sitenet.config.trial import Trial
from sitenet.data.crystal import Crystal
from sitenet.data.table import CrystalTable, bundled_path
from sitenet.evaluation.figures.style import BLUE, FIGURE_STYLE, GREY, ORANGE, save_figure
from sitenet.evaluation.tables.formats import column, integer, markdown
from sitenet.evaluation.tables.rounding import measured
from tools.bundle_electrostatics import COULOMB, as_structure, charges
from tools.trial_errors import ends, errors_by_trial, groups_of, mean_error

CONFIG = Path(__file__).parents[1] / "configs" / "long_range.yaml"
TARGETS = ("all charges", "screened")
DAMPINGS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # 1 / angstrom


@dataclass(frozen=True)
class Sight:
    """What a site sees: in words, and the radius in angstrom; of a supercell that of a sphere with its volume."""

    words: str
    reach: float


def sight(trial: Trial, volume: float) -> Sight:
    """Of a network; `volume` is the median volume of a site in cubic angstrom."""
    radius, cutoff = trial.features.radius, trial.settings["model"]["cutoff"]
    if radius is not None:
        return Sight(f"sphere of {radius:g} angstrom", radius)
    sites = trial.features.max_sites
    if cutoff is not None:
        return Sight(f"{sites} sites, cut-off at {cutoff:g} angstrom", cutoff)
    return Sight(f"{sites} sites", (sites * volume * 3 / (4 * np.pi)) ** (1 / 3))


def truncated_energy(crystal: Crystal, radius: float, damping: float) -> float:
    """Energy in eV/site from the charges within `radius` (angstrom) alone, completed by a charge on the sphere.

    Wolf et al., J. Chem. Phys. 110, 8254 (1999); `damping` in 1 / angstrom.
    """
    charge, structure = charges(crystal.atomic_numbers), as_structure(crystal)
    assert charge is not None
    i, j, _, distance = structure.get_neighbor_list(radius)
    shift = erfc(damping * radius) / radius
    pairs = charge[i] * charge[j] * (erfc(damping * distance) / distance - shift)
    itself = (shift / 2 + damping / np.sqrt(np.pi)) * np.square(charge).sum()
    return COULOMB * float(pairs.sum() / 2 - itself) / len(charge)


def formula_rows(ids: list[str], reaches: tuple[float, ...]) -> Iterator[dict[str, object]]:
    """The error of the formula itself within a radius, with the damping that is best on these crystals."""
    crystals = [c for c in CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals() if c.id in set(ids)]
    exact = _exact()[[crystal.id for crystal in crystals]].to_numpy()
    for reach in reaches:
        tried = [np.array([truncated_energy(c, reach, damping) for c in crystals]) for damping in DAMPINGS]
        mae = min(float(np.abs(energies - exact).mean()) for energies in tried)
        words = f"sphere of {reach:g} angstrom"
        yield {"target": "all charges", "model": "truncated sum", "sight": words, "reach": reach, "test_mae": mae}


def _exact() -> pd.Series:
    return pd.read_parquet(bundled_path("mp_dielectric_electrostatics")).set_index("id")["ewald_energy"]


def rows_of(target: str, results: Path, benchmark: Benchmark, volume: float) -> Iterator[dict[str, object]]:
    """One row a trial that ran: a cut-off compared with the supercell without it, others with the shortest sight."""
    errors, groups = errors_by_trial(results), groups_of(results)
    for id_, trial in benchmark.trials.items():
        if id_ not in errors:
            continue
        row: dict[str, object] = {"target": target, "model": trial.kind, "trial": id_, "sight": "composition"}
        row |= ends("test_mae", mean_error(errors[id_], groups))
        row |= {"seeds": len(errors[id_]), "n_test": len(next(iter(errors[id_].values())))}
        if trial.is_network:
            seen = sight(trial, volume)
            row |= {"sight": seen.words, "reach": seen.reach}
            reference = _reference(trial, benchmark)
            if reference != id_:
                row |= {"reference": reference}
                row |= ends("difference", mean_error(errors[id_], groups, errors[reference]))
        yield row


def _reference(trial: Trial, benchmark: Benchmark) -> str:
    own = {id_: other for id_, other in benchmark.networks.items() if other.kind == trial.kind}
    if trial.settings["model"]["cutoff"] is None:
        return next(iter(own))
    alike = (id_ for id_, other in own.items() if other.settings["model"]["cutoff"] is None)
    return next(id_ for id_ in alike if own[id_].features == trial.features)


def long_range_table(results: Mapping[str, Path]) -> pd.DataFrame:
    """All rows: networks and baselines for both targets, and the truncated formula for the first."""
    benchmark = Benchmark(yaml.safe_load(CONFIG.read_text("utf-8")))
    known = _exact().index
    crystals = [c for c in CrystalTable.open(bundled_path("mp_dielectric_gap")).crystals() if c.id in known]
    volume = float(np.median([abs(np.linalg.det(c.lattice)) / len(c.atomic_numbers) for c in crystals]))
    rows = [row for target, folder in results.items() for row in rows_of(target, folder, benchmark, volume)]
    first = errors_by_trial(results["all charges"])
    tested = sorted({id_ for runs in first.values() for errors in runs.values() for id_ in errors.index})
    return pd.DataFrame([*rows, *formula_rows(tested, (4.0, 5.0, 6.0, 8.0))])


def as_markdown(table: pd.DataFrame) -> str:
    """The table for the page, rounded by uncertainty."""
    shown = table[["target", "model", "sight"]].copy()
    shown["seeds"] = column(table, integer, "seeds")
    for name, sign in (("test_mae", ""), ("difference", "+")):
        values = zip(*(table[each] for each in (name, f"{name}_low", f"{name}_high")), strict=True)
        shown[name] = [measured(value, low, high, sign) for value, low, high in values]
    return markdown(shown.rename(columns={"test_mae": "test MAE (eV/site)", "sight": "a site sees"}), text_columns=3)


def figure(table: pd.DataFrame) -> Figure:
    """Error against sight with intervals, one panel a target; an empty marker is a cut-off."""
    with rc_context(FIGURE_STYLE):
        drawing = Figure(figsize=(7.5, 3.8), layout="constrained")
        for axes, (target, rows) in zip(drawing.subplots(1, 2), table.groupby("target", sort=False), strict=True):
            for kind, colour, marker in (("sitenet_radial", BLUE, "o"), ("sitenet", ORANGE, "s")):
                own = rows[rows["model"] == kind]
                cut = own["sight"].str.contains("cut-off")
                _draw(axes, own[~cut], kind, color=colour, marker=marker)
                if cut.any():
                    style = {"color": colour, "marker": marker, "markerfacecolor": "white", "linestyle": ""}
                    _draw(axes, own[cut], f"{kind}, cut-off", **style)
            formula = rows[rows["model"] == "truncated sum"]
            axes.plot(formula["reach"], formula["test_mae"], "--", color=GREY, marker=".", label="truncated sum")
            forest = rows.loc[rows["model"] == "random_forest", "test_mae"].item()
            axes.axhline(forest, color=GREY, linewidth=0.8, linestyle=":", label="forest on the composition")
            axes.set(title=str(target), xlabel="a site sees (angstrom)", ylabel="test MAE (eV/site)", ylim=(0, None))
        drawing.legend(*drawing.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return drawing


def _draw(axes: Axes, rows: pd.DataFrame, name: str, **style: Any) -> None:
    reach, mae = rows["reach"].to_numpy(), rows["test_mae"].to_numpy()
    beside = np.array([mae - rows["test_mae_low"], rows["test_mae_high"] - mae])
    axes.errorbar(reach, mae, beside, capsize=2, label=name, **style)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder results/ of the benchmark with all charges")
    parser.add_argument("screened", type=Path, help="folder results/ of the benchmark with screened charges")
    parser.add_argument("folder", type=Path, help="where the files go")
    arguments = parser.parse_args()
    table = long_range_table(dict(zip(TARGETS, (arguments.results, arguments.screened), strict=True)))
    arguments.folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(arguments.folder / "long_range.csv", index=False, float_format="%.6g")
    save_figure(figure(table), [arguments.folder / f"long_range.{suffix}" for suffix in ("svg", "png")])
    print(as_markdown(table))


if __name__ == "__main__":
    main()
