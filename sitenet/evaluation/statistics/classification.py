"""Metrics of predictions that are probabilities of class 1, against targets that are 0 or 1."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
THRESHOLD = 0.5  # a larger probability is a prediction of class 1, as Matbench counts
LEAST = float(np.finfo(np.float32).eps)  # of a probability in the log loss: what networks compute is no finer
BINS = 10
DIGITS = 12  # of an area


def roc_auc(target: Floats, prediction: Floats) -> float:
    """Area under the ROC curve of (C,) crystals; NaN where a class is missing."""
    return float(weighted_roc_auc(target, prediction, np.ones((len(target), 1)))[0])


def weighted_roc_auc(target: Floats, prediction: Floats, weights: Floats) -> Floats:
    """Areas under ROC curves of crystals that count by weights.

    An area is the share of the pairs of a crystal of class 1 and one of class 0 in which the former has the larger
    probability; equal ones count one half (Hanley and McNeil, Radiology 143, 29 (1982)).

    Args:
        target: (C,) 0 or 1.
        prediction: (C,) probabilities.
        weights: (C, B) weights, a column for each of B areas.

    Returns:
        (B,) areas; NaN where a class is missing.
    """
    if len(np.unique(target)) < 2:
        return np.full(weights.shape[1], np.nan)
    order = np.argsort(prediction, kind="stable")
    positives, negatives = order[target[order] == 1], order[target[order] == 0]
    of_positives = weights[positives]
    below = np.zeros((len(negatives) + 1, weights.shape[1]))  # weight of class 0 before each crystal of it
    np.cumsum(weights[negatives], axis=0, out=below[1:])
    first, last = (np.searchsorted(prediction[negatives], prediction[positives], side) for side in ("left", "right"))
    areas = np.einsum("pb,pb->b", of_positives, below[first])
    if (first != last).any():  # equal probabilities in both classes
        areas = (areas + np.einsum("pb,pb->b", of_positives, below[last])) / 2
    areas /= of_positives.sum(axis=0) * below[-1]
    return areas.round(DIGITS)  # so that sums which were rounded otherwise give equal areas


def share_of_positives(target: Floats, prediction: Floats) -> float:
    """Share of class 1 among (C,) targets; NaN for none."""
    return float(target.mean()) if len(target) else np.nan


def f1(target: Floats, prediction: Floats) -> float:
    """Harmonic mean of precision and recall of class 1 of (C,) crystals; 0 where nothing is right, NaN for none."""
    predicted = prediction > THRESHOLD
    total = float(predicted.sum() + target.sum())
    if not len(target):
        return np.nan
    return 2 * float((predicted & (target == 1)).sum()) / total if total else 0.0


def balanced_accuracy(target: Floats, prediction: Floats) -> float:
    """Mean over both classes of the share of their crystals that is predicted right; NaN where a class is missing."""
    if len(np.unique(target)) < 2:
        return np.nan
    right = (prediction > THRESHOLD) == (target == 1)
    return float((right[target == 1].mean() + right[target == 0].mean()) / 2)


def log_loss(target: Floats, prediction: Floats) -> float:
    """Mean over (C,) crystals of -log p, p the probability of their class but at least `LEAST`; NaN for none."""
    given = np.where(target == 1, prediction, 1 - prediction)
    return float(-np.log(given.clip(LEAST, 1)).mean()) if len(target) else np.nan


def brier(target: Floats, prediction: Floats) -> float:
    """Brier score: mean over (C,) crystals of (probability - target)^2; NaN for none."""
    return float(np.square(prediction - target).mean()) if len(target) else np.nan


def calibration_error(target: Floats, prediction: Floats) -> float:
    """Expected calibration error of (C,) crystals: the mean over crystals of |probability - share of class 1|, both of
    their bin, for `BINS` bins of equal width (Naeini, Cooper and Hauskrecht, AAAI 2015); NaN for none.
    """
    if not len(target):
        return np.nan
    _, predicted, observed, counts = reliability(target, prediction)
    return float((np.abs(predicted - observed) * counts).sum() / len(target))


def reliability(target: Floats, prediction: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """How often class 1 occurs where it is predicted with some probability.

    Returns:
        For each bin that has crystals: its number, the mean of their probabilities, the share of class 1 among them,
        and how many they are.
    """
    places = np.minimum((prediction * BINS).astype(int), BINS - 1)
    counts = np.bincount(places, minlength=BINS).astype(float)
    found = counts > 0
    sums = [np.bincount(places, own, minlength=BINS)[found] for own in (prediction, target)]
    return np.flatnonzero(found).astype(float), sums[0] / counts[found], sums[1] / counts[found], counts[found]


def roc_curve(target: Floats, prediction: Floats) -> tuple[Floats, Floats]:
    """Shares of class 0 and of class 1 with a probability of at least t, from (0, 0) to (1, 1) as t falls."""
    order = np.argsort(-prediction, kind="stable")
    ends = np.flatnonzero(np.r_[np.diff(prediction[order]) != 0, True])
    hits = np.cumsum(target[order])[ends]
    false = ends + 1 - hits
    return np.r_[0.0, false / max(false[-1], 1)], np.r_[0.0, hits / max(hits[-1], 1)]
