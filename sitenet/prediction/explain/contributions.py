r"""What each site contributes to a prediction: Shapley values of the site classes in the pooling.

A network pools the states of the sites of a crystal and predicts from what is pooled. Let v(S) be its prediction from
the sites of the classes S alone, and v of no sites the mean target of the training crystals. The contribution of a
class is the change of v when it joins the others, averaged over all orders in which the R classes may join,

$$ \phi_r = \sum_{S \not\ni r} \frac{|S|! (R - |S| - 1)!}{R!} (v(S \cup r) - v(S)) $$

(Shapley, Contributions to the Theory of Games II, 307 (1953)). The contributions sum to the prediction minus that mean,
whatever follows the pooling. For many classes the orders are sampled, and the sum stays exact.

States are those in the whole crystal: what a site passes to others by attention is in their states, and counts for
them.
"""

import itertools
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sitenet.models.base.network import AttentionNetwork

MAX_EXACT = 10  # classes, of which all subsets are predicted
SAMPLED, MOST_ROTATIONS = 400, 100  # orders that are sampled
# States that may be pooled for all of them: an order of R classes pools R^2 / 2. It limits the time to some seconds.
BUDGET, FEWEST = 20_000_000, 4
CHUNK = 200_000  # states pooled at once
Floats = NDArray[np.float64]
Subsets = NDArray[np.bool_]


@torch.inference_mode()
def class_contributions(network: AttentionNetwork, sites_RF: Tensor, counts: Tensor, empty: float) -> Floats:
    """(R,) contributions of the site classes of one crystal, in the unit of the target.

    Args:
        network: The network.
        sites_RF: (R, F) states of the classes that it pools.
        counts: (R,) sites of each class.
        empty: What is predicted of nothing: the mean target of the training crystals.
    """
    n_classes = len(sites_RF)
    if n_orders(n_classes) is None:
        subsets = np.array(list(itertools.product([False, True], repeat=n_classes)))
        values = _predictions(network, sites_RF, counts, subsets, empty)
        return _exact(subsets, values)
    orders = _orders(n_classes).reshape(-1, n_classes)
    total = np.zeros(n_classes)
    for order in orders:
        subsets = np.tri(n_classes + 1, n_classes, -1, dtype=bool)[:, np.argsort(order)]
        total[order] += np.diff(_predictions(network, sites_RF, counts, subsets, empty))
    return total / len(orders)


def _exact(subsets: Subsets, values: Floats) -> Floats:
    """Shapley values from those of all subsets, which are in the order of binary numbers."""
    n_classes, sizes = subsets.shape[1], subsets.sum(axis=1)
    weights = np.array([1 / (n_classes * math.comb(n_classes - 1, size)) for size in range(n_classes)])
    found = np.empty(n_classes)
    for place in range(n_classes):
        without = np.flatnonzero(~subsets[:, place])
        joined = without + 2 ** (n_classes - 1 - place)
        found[place] = (weights[sizes[without]] * (values[joined] - values[without])).sum()
    return found


def n_orders(n_classes: int) -> int | None:
    """How many orders of so many classes are sampled; None where all orders count."""
    return None if n_classes <= MAX_EXACT else math.prod(_orders(n_classes).shape[:2])


def _orders(n_classes: int) -> NDArray[np.int64]:
    """(K, T, R) sampled orders, always the same: K random ones, each begun at T places so that any class is first."""
    affordable = max(FEWEST, 2 * BUDGET // n_classes**2)
    random, n_rotations = np.random.default_rng(0), min(n_classes, MOST_ROTATIONS, affordable)
    starts = np.arange(n_rotations) * n_classes // n_rotations
    drawn = [random.permutation(n_classes) for _ in range(math.ceil(SAMPLED / n_classes))]
    return np.stack([[np.roll(one, -start) for start in starts] for one in drawn])


def _predictions(network: AttentionNetwork, sites_RF: Tensor, counts: Tensor, subsets: Subsets, empty: float) -> Floats:
    """(K,) predictions from the sites of K subsets of the classes; `empty` for the one without sites."""
    values, filled = np.full(len(subsets), empty), np.flatnonzero(subsets.any(axis=1))
    step = max(1, CHUNK // len(sites_RF))
    for start in range(0, len(filled), step):
        chosen = filled[start : start + step]
        subset, place = (torch.from_numpy(found).to(sites_RF.device) for found in np.nonzero(subsets[chosen]))
        predicted = network.predict_pooled(sites_RF[place], counts[place], subset, len(chosen))
        values[chosen] = predicted.double().cpu().numpy()
    return values
