"""Uncertainty of ROC-AUCs by the bootstrap over groups of `bootstrap`: the same weights, another score.

An area is no mean over crystals, so that its resamples need the weight of every crystal. They are computed some at a
time, since all weights of a large data set do not fit in memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sitenet.errors import UserError
from sitenet.evaluation.statistics.bootstrap import Bootstrap, Floats, group_generator
from sitenet.evaluation.statistics.classification import roc_auc, weighted_roc_auc

_CHUNK_WEIGHTS = 10_000_000  # weights in memory at once, 80 MB


@dataclass(frozen=True)
class Classified:
    """The test crystals of one fold with what M models say of them.

    Attributes:
        targets: (C,) 0 or 1.
        predictions: Of each model (S, C) probabilities, a row for each seed; None of a model without a score.
        groups: The names of the C groups of the crystals.
    """

    targets: Floats
    predictions: Sequence[Floats | None]
    groups: Sequence[str]


def bootstrap_areas(
    folds: Mapping[int, Classified], n_resamples: int = 10_000, seed: int = 0, level: float = 0.95
) -> Bootstrap:
    """Resamples the ROC-AUCs of M models on the same crystals; the area of a fold is the mean over its seeds.

    Args:
        folds: The crystals of each fold; the name of a group means the same group in every fold.
        n_resamples: Number of resamples B.
        seed: Random seed; see `bootstrap_scores`.
        level: Coverage of the intervals.

    Raises:
        UserError: The crystals of a fold are all of one class.
    """
    ordered = [folds[k] for k in sorted(folds)]
    for k, fold in folds.items():
        if len(np.unique(fold.targets)) < 2:
            raise UserError(f"fold {k}: its test crystals are all of one class, and a ROC-AUC needs both")
    names = sorted({name for fold in ordered for name in fold.groups})
    place = {name: i for i, name in enumerate(names)}
    codes = [np.array([place[name] for name in fold.groups]) for fold in ordered]
    generators = [group_generator(name, seed) for name in names]
    n_models = len(ordered[0].predictions)
    replicates = np.full((n_resamples, len(ordered), n_models), np.nan)
    chunk = max(1, _CHUNK_WEIGHTS // max(len(names), *map(len, codes)))
    for start in range(0, n_resamples, chunk):
        end = min(start + chunk, n_resamples)
        weights = np.stack([generator.standard_exponential(end - start) for generator in generators])
        for f, fold in enumerate(ordered):
            own = weights[codes[f]]
            for m, of_seeds in enumerate(fold.predictions):
                if of_seeds is not None:
                    areas = [weighted_roc_auc(fold.targets, prediction, own) for prediction in of_seeds]
                    replicates[start:end, f, m] = np.mean(areas, axis=0)
    observed = np.array([[_area(fold.targets, own) for own in fold.predictions] for fold in ordered])
    present = np.stack([np.isin(np.arange(len(names)), own) for own in codes], axis=1)
    return Bootstrap(observed, replicates, present, level)


def _area(targets: Floats, of_seeds: Floats | None) -> float:
    return np.nan if of_seeds is None else float(np.mean([roc_auc(targets, own) for own in of_seeds]))
