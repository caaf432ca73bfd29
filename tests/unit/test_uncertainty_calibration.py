"""Intervals that hold what they promise, on errors whose distribution is known."""

from pathlib import Path

import numpy as np
import pytest

from sitenet.errors import UserError
from sitenet.prediction.uncertainty.calibration import LEVELS, MIN_GROUP, Calibration

Sample = tuple[np.ndarray, np.ndarray, np.ndarray]


def gaps(n: int, seed: int) -> Sample:
    """Targets, predictions and spreads like those of band gaps: half metals, larger errors with larger spreads."""
    rng = np.random.default_rng(seed)
    targets = np.where(rng.random(n) < 0.5, 0.0, rng.gamma(2, 1.2, n))
    spreads = rng.gamma(1.5, 0.1, n)
    predictions = np.maximum(targets + spreads * rng.standard_t(3, n), 0)
    return targets, predictions, spreads


def coverage(calibration: Calibration, sample: Sample) -> dict[str, float]:
    """Share of the targets inside the intervals of each level."""
    targets, predictions, spreads = sample
    ends = calibration.intervals(predictions, spreads)
    levels = [f"{level * 100:.0f}" for level in LEVELS]
    return {
        level: float(((ends[f"low_{level}"] <= targets) & (targets <= ends[f"high_{level}"])).mean())
        for level in levels
    }


def test_new_crystals_are_covered_as_promised() -> None:
    found = [coverage(Calibration.fit(*gaps(4000, seed), True), gaps(4000, seed + 100)) for seed in range(10)]
    for level, promised in zip(("80", "95"), LEVELS, strict=True):
        mean = np.mean([one[level] for one in found])
        assert promised - 0.005 < mean < promised + 0.15  # above it: many targets are 0, which intervals reach


def test_without_ties_coverage_is_exact() -> None:
    def sample(seed: int) -> Sample:
        rng = np.random.default_rng(seed)
        predictions, spreads = rng.normal(size=4000), rng.gamma(1.5, 0.1, 4000)
        return predictions + spreads * rng.standard_t(3, 4000), predictions, spreads

    found = [coverage(Calibration.fit(*sample(seed), False), sample(seed + 100)) for seed in range(10)]
    for level, promised in zip(("80", "95"), LEVELS, strict=True):
        assert np.mean([one[level] for one in found]) == pytest.approx(promised, abs=0.01)


def test_those_with_a_large_spread_are_covered_too() -> None:
    targets, predictions, spreads = gaps(8000, 1)
    unsure = spreads > np.quantile(spreads, 0.9)
    calibration = Calibration.fit(*gaps(8000, 2), True)
    assert coverage(calibration, (targets[unsure], predictions[unsure], spreads[unsure]))["95"] > 0.9
    ends = calibration.intervals(predictions, spreads)
    widths = ends["high_80"] - ends["low_80"]
    assert widths[unsure].mean() > 2 * widths[~unsure].mean()


def test_quantiles_are_those_of_the_ranks() -> None:
    n = 399  # with a new one there are 400 ranks, and 10 or 40 of them lie outside on either side
    residuals = np.random.default_rng(0).permutation(np.arange(1.0, n + 1))
    calibration = Calibration.fit(residuals, np.zeros(n), np.zeros(n), non_negative=False)
    (ends,) = calibration.intervals(np.zeros(1), np.zeros(1)).to_dict("records")
    assert ends == {"low_80": 40, "high_80": 360, "low_95": 10, "high_95": 390}


def test_interval_of_a_non_negative_target_starts_at_zero() -> None:
    calibration = Calibration.fit(*gaps(4000, 3), True)
    ends = calibration.intervals(np.array([0.0, 0.01]), np.array([0.0, 0.5]))
    assert (ends.to_numpy() >= 0).all()
    assert (ends["low_95"] <= ends["low_80"]).all()
    assert (ends["high_80"] <= ends["high_95"]).all()


def test_probability_of_a_metal_is_calibrated_and_falls() -> None:
    targets, predictions, _ = gaps(20_000, 4)
    calibration = Calibration.fit(*gaps(20_000, 5), True)
    probability = calibration.metal(predictions)
    for low, high in ((0, 0.3), (0.3, 0.7), (0.7, 1.01)):
        inside = (probability >= low) & (probability < high)
        assert inside.sum() > 100
        assert (targets[inside] == 0).mean() == pytest.approx(probability[inside].mean(), abs=0.04)
    assert (np.diff(calibration.metal(np.linspace(0, 10, 100))) <= 0).all()


def test_target_without_metals() -> None:
    targets, predictions, spreads = gaps(1000, 6)
    calibration = Calibration.fit(targets - 1, predictions - 1, spreads, non_negative=False)
    assert np.isnan(calibration.metal(predictions)).all()
    assert calibration.intervals(np.array([-0.9]), np.array([0.1]))["low_95"].iloc[0] < 0


def test_one_network_has_no_spread() -> None:
    targets, predictions, _ = gaps(4000, 7)
    none = np.zeros(4000)
    calibration = Calibration.fit(targets, predictions, none, True)
    assert all(len(one.groups) == 1 for one in calibration.classes)
    assert coverage(calibration, (*gaps(4000, 8)[:2], none))["95"] > 0.94


def test_record_reads_as_it_was_written(tmp_path: Path) -> None:
    calibration = Calibration.fit(*gaps(MIN_GROUP, 9), True)
    calibration.write(tmp_path / "calibration.json")
    assert Calibration.read(tmp_path / "calibration.json") == calibration


def test_too_few_or_broken_crystals_are_refused() -> None:
    with pytest.raises(UserError, match="199 crystals are too few"):
        Calibration.fit(*gaps(MIN_GROUP - 1, 0), True)
    targets, predictions, spreads = gaps(1000, 0)
    targets[3] = np.nan
    with pytest.raises(UserError, match="not finite"):
        Calibration.fit(targets, predictions, spreads, True)
