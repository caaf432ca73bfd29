"""What `tools/calibrate.py` measures of intervals and flags, on predictions whose errors are known."""

import numpy as np
import pandas as pd
import pytest

from sitenet.prediction.uncertainty.sketch import sketch
from sitenet.prediction.uncertainty.training_set import TrainingSet
from tests.real_crystals import crystals
from tools.calibrate import coverage, flag_scores, intervals_from_halves, metal_shares


@pytest.fixture(scope="module")
def tested() -> pd.DataFrame:
    """Predictions of all bundled crystals: a third are metals, and the error grows with the spread."""
    rng = np.random.default_rng(0)
    ids = list(crystals())
    n = len(ids)
    target = np.where(np.arange(n) % 3 == 0, 0.0, rng.gamma(2, 1.2, n))
    spread = rng.gamma(1.5, 0.1, n)
    prediction = np.maximum(target + spread * rng.normal(size=n), 0)
    group = [str(number // 2) for number in range(n)]
    return pd.DataFrame({"id": ids, "target": target, "prediction": prediction, "spread": spread, "group": group})


@pytest.fixture(scope="module")
def halves(tested: pd.DataFrame) -> pd.DataFrame:
    return intervals_from_halves(tested, True)


def test_coverage_is_that_of_the_levels(tested: pd.DataFrame, halves: pd.DataFrame) -> None:
    rows = {row.name: row for row in coverage(tested, halves, (1, 3), "eV")}
    assert list(rows) == ["below 1 eV", "1 to 3 eV", "above 3 eV", "all"]
    assert sum(row.crystals for row in rows.values()) == 2 * rows["all"].crystals
    assert 0.79 < rows["all"].shares["80"] < 0.9
    assert 0.94 < rows["all"].shares["95"] < 0.99
    assert rows["all"].widths["80"] < rows["all"].widths["95"]


def test_formulas_are_not_shared_between_halves(tested: pd.DataFrame, halves: pd.DataFrame) -> None:
    """Both crystals of a formula are tested in the same halves, so neither calibrates the other."""
    never = halves["inside_95"].isna()
    assert never.mean() < 0.02
    assert (never.groupby(tested["group"]).nunique() == 1).all()


def test_probabilities_of_a_metal_are_shares(tested: pd.DataFrame, halves: pd.DataFrame) -> None:
    rows = metal_shares(tested, halves)
    assert sum(row.crystals for row in rows) == halves["metal"].notna().sum()
    for row in rows:
        if row.crystals > 100:
            assert row.share == pytest.approx(row.probability, abs=0.1)


def test_flagged_crystals_are_scored_apart(tested: pd.DataFrame, halves: pd.DataFrame) -> None:
    sketches = {id_: sketch(crystal) for id_, crystal in crystals().items()}
    training = TrainingSet.collect([sketches[id_] for id_ in list(sketches)[::2]])
    high = float(tested["spread"].quantile(0.95))
    rows = {row.name: row for row in flag_scores(tested, halves, sketches, training, high)}
    assert list(rows)[:2] == ["known structure", "known formula"]
    assert rows["known structure"].crystals >= len(list(sketches)[::2])
    assert rows["spread"].mae > 2 * rows["no reason to doubt"].mae
    assert rows["any reason to doubt"].crystals + rows["no reason to doubt"].crystals == len(tested)
