"""Calibrates the intervals of a model on the test crystals of its fold, and measures how well that works.

`ship_model` calls it. The intervals that are shipped are calibrated on all test crystals. How often intervals contain
the target is measured on crystals that calibrated nothing: intervals from one half of the formulas, tested on the other
half, for several random halves.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sitenet.evaluation.statistics.bootstrap import bootstrap_scores
from sitenet.prediction.card import Coverage, FlagScore, MetalShare
from sitenet.prediction.uncertainty.calibration import LEVELS, Calibration
from sitenet.prediction.uncertainty.flags import flags
from sitenet.prediction.uncertainty.sketch import Sketch
from sitenet.prediction.uncertainty.training_set import TrainingSet

HALVES = 10
PROBABILITIES = (0.0, 0.05, 0.2, 0.5, 0.8, 0.95, 1.0)
KNOWN = ("known structure", "known formula")


def calibrated(tested: pd.DataFrame, non_negative: bool) -> Calibration:
    """Calibrates on test crystals with the columns target, prediction and spread."""
    targets, predictions, spreads = _columns(tested)
    return Calibration.fit(targets, predictions, spreads, non_negative)


def intervals_from_halves(tested: pd.DataFrame, non_negative: bool) -> pd.DataFrame:
    """Intervals of every test crystal from halves of the formulas that it does not belong to.

    Args:
        tested: Columns target, prediction, spread and group, the formula.
        non_negative: Whether no target is negative.

    Returns:
        For each crystal and level the share of its intervals that contain the target (inside_80) and their mean width
        (width_80), and its mean probability of a metal.
    """
    formulas = tested["group"].unique()
    found = []
    for half in range(HALVES):
        drawn = np.random.default_rng(half).random(len(formulas)) < 0.5
        calibrates = tested["group"].isin(formulas[drawn])
        rest = tested[~calibrates]
        calibration = calibrated(tested[calibrates], non_negative)
        targets, predictions, spreads = _columns(rest)
        ends = calibration.intervals(predictions, spreads)
        row = pd.DataFrame({"metal": calibration.metal(predictions)}, index=rest.index)
        for level in _levels():
            low, high = ends[f"low_{level}"].to_numpy(), ends[f"high_{level}"].to_numpy()
            row[f"inside_{level}"] = (low <= targets) & (targets <= high)
            row[f"width_{level}"] = high - low
        found.append(row.astype(float))
    return pd.concat(found).groupby(level=0).mean().reindex(tested.index)


def coverage(tested: pd.DataFrame, halves: pd.DataFrame, ends: Sequence[float], unit: str) -> tuple[Coverage, ...]:
    """Coverage of all crystals and by range of the prediction."""
    both = tested.join(halves).dropna(subset="inside_95")
    edges = [-np.inf, *ends, np.inf]
    names = [f"below {ends[0]:g}", *(f"{low:g} to {high:g}" for low, high in pairwise(ends)), f"above {ends[-1]:g}"]
    parts: Mapping[str, pd.DataFrame] = {
        f"{name} {unit}": part
        for name, part in both.groupby(pd.cut(both["prediction"], edges, labels=names, right=False), observed=True)
    }
    return tuple(
        Coverage(
            name=name,
            crystals=len(part),
            shares={level: float(part[f"inside_{level}"].mean()) for level in _levels()},
            widths={level: float(part[f"width_{level}"].median()) for level in _levels()},
        )
        for name, part in {**parts, "all": both}.items()
    )


def metal_shares(tested: pd.DataFrame, halves: pd.DataFrame) -> tuple[MetalShare, ...]:
    """How many of the crystals with a probability of a metal are metals; none if there are no metals."""
    both = tested.join(halves[["metal"]]).dropna(subset="metal")
    names = [f"{low:g} to {high:g}" for low, high in pairwise(PROBABILITIES)]
    bins = pd.cut(both["metal"], PROBABILITIES, labels=names, include_lowest=True)
    return tuple(
        MetalShare(
            name=str(name),
            crystals=len(part),
            probability=float(part["metal"].mean()),
            share=float((part["target"] == 0).mean()),
        )
        for name, part in both.groupby(bins, observed=True)
    )


def flag_scores(
    tested: pd.DataFrame,
    halves: pd.DataFrame,
    sketches: Mapping[str, Sketch],
    training: TrainingSet,
    high_spread: float,
) -> tuple[FlagScore, ...]:
    """Errors of the crystals with each flag, and of those with none but that they are known."""
    names = [
        {flag.split(":")[0] for flag in flags(sketches[id_], spread, training, high_spread)}
        for id_, spread in zip(tested["id"], tested["spread"], strict=True)
    ]
    both = tested.join(halves).assign(error=(tested["prediction"] - tested["target"]).abs())
    both["names"] = pd.Series(names, index=both.index, dtype=object)
    kinds = [*KNOWN, *sorted({name for found in names for name in found} - set(KNOWN))]
    doubtful = both["names"].map(lambda found: bool(found - set(KNOWN)))
    parts = {
        **{kind: both[both["names"].map(lambda found, kind=kind: kind in found)] for kind in kinds},
        "any reason to doubt": both[doubtful],
        "no reason to doubt": both[~doubtful],
    }
    return tuple(_flag_score(name, part) for name, part in parts.items() if len(part))


def _flag_score(name: str, part: pd.DataFrame) -> FlagScore:
    score = bootstrap_scores({0: part["error"].to_numpy()[:, None]}, {0: part["group"].tolist()}).score(0)
    return FlagScore(
        name=name,
        crystals=len(part),
        mae=score.value,
        low=score.low,
        high=score.high,
        coverage=float(part["inside_95"].mean()),
    )


def _columns(tested: pd.DataFrame) -> list[NDArray[np.float64]]:
    return [tested[name].to_numpy(np.float64) for name in ("target", "prediction", "spread")]


def _levels() -> list[str]:
    return [f"{level * 100:.0f}" for level in LEVELS]
