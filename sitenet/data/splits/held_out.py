"""Test parts that a model has to extrapolate to: an element, a chemical system or a cluster that training lacks.

Random folds measure interpolation, since a data set has many crystals of few chemical systems. Leaving out clusters
(Meredig et al., Mol. Syst. Des. Eng. 3, 819 (2018)) or elements (Li et al., Commun. Mater. 6, 9 (2025))
measures how a model does where it has learnt from nothing similar.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from sitenet.errors import UserError
from sitenet.settings.elements import SYMBOLS
from sitenet.settings.splits import ClusterSplits, ElementSplits

# Of rarer elements a fold tests too few crystals; without more frequent ones too little is left to train on.
DRAWN_SHARES = (0.05, 0.25)
_COMMON = 3  # elements that describe a cluster


def chemical_systems(structures: Path | str) -> dict[str, str]:
    """Chemical system of each crystal of a table by id: its elements in alphabetical order, such as "Cl-Na"."""
    systems = {}
    for batch in pq.ParquetFile(structures).iter_batches(columns=["id", "atomic_numbers"]):
        for id_, numbers in zip(batch["id"].to_pylist(), batch["atomic_numbers"].to_pylist(), strict=True):
            systems[id_] = "-".join(sorted(SYMBOLS[z - 1] for z in set(numbers)))
    return systems


def element_tests(systems: Mapping[str, str], splits: ElementSplits) -> dict[str, set[str]]:
    """The crystals that contain the held-out elements, by the names of the elements, in the order of the folds.

    A crystal with two held-out elements is in two test parts, where these are of different folds.

    Args:
        systems: Chemical system of each crystal by id.
        splits: The elements, or the number of them that are drawn.

    Raises:
        UserError: No crystal has an element, or too few elements can be drawn.
    """
    elements = {id_: set(system.split("-")) for id_, system in systems.items()}
    tests = {}
    for held_out in splits.elements or [(element,) for element in _drawn(elements, splits)]:
        name = ", ".join(held_out)
        tests[name] = {id_ for id_, own in elements.items() if own.intersection(held_out)}
        if not tests[name]:
            raise UserError(f"configuration key 'splits.elements' has the value {list(held_out)}: no crystal has them")
    return tests


def _drawn(elements: Mapping[str, Collection[str]], splits: ElementSplits) -> list[str]:
    """Elements in neither too few nor too many crystals, the most frequent first."""
    counts = Counter(element for own in elements.values() for element in own)
    low, high = (share * len(elements) for share in DRAWN_SHARES)
    suitable = [element for element, n in counts.items() if low <= n <= high]
    if len(suitable) < splits.n_folds:
        shares = " to ".join(f"{100 * share:.0f}" for share in DRAWN_SHARES)
        raise UserError(
            f"configuration key 'splits.n_folds' has the value {splits.n_folds}: {len(suitable)} elements are in "
            f"{shares} % of the crystals; name others in 'splits.elements'"
        )
    suitable.sort(key=lambda element: hashlib.sha256(f"{splits.seed}/{element}".encode()).digest())
    return sorted(suitable[: splits.n_folds], key=lambda element: (-counts[element], element))


def cluster_tests(features: Path | str, systems: Mapping[str, str], splits: ClusterSplits) -> dict[str, set[str]]:
    """The crystals of each cluster, by the cluster's name, the largest cluster first.

    The clusters are those of k-means on standardised features, the best of ten starts.

    Args:
        features: Table of features (id, then columns of numbers).
        systems: Chemical system of each crystal by id, to name the clusters.
        splits: The number of clusters and the seed.

    Raises:
        UserError: There are fewer crystals than clusters.
    """
    import pandas as pd
    from sklearn.cluster import KMeans
    from sklearn.preprocessing import StandardScaler

    # Sorted, since the starts of k-means depend on the order of the rows.
    table = pd.read_parquet(features).set_index("id").loc[sorted(systems)]
    if len(table) < splits.n_folds:
        raise UserError(
            f"configuration key 'splits.n_folds' has the value {splits.n_folds}: there are {len(table)} crystals"
        )
    values = StandardScaler().fit_transform(table.to_numpy(np.float64))
    labels = KMeans(splits.n_folds, n_init=10, random_state=splits.seed).fit_predict(values)
    clusters = [set(table.index[labels == number]) for number in range(splits.n_folds)]
    clusters.sort(key=lambda ids: (-len(ids), min(ids, default="")))
    return {f"cluster {k} ({_common(ids, systems)})": ids for k, ids in enumerate(clusters)}


def _common(ids: Collection[str], systems: Mapping[str, str]) -> str:
    """The most frequent elements of some crystals, with their shares: "O in 98 %, Ba in 12 %"."""
    counts = Counter(element for id_ in ids for element in systems[id_].split("-"))
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return ", ".join(f"{element} in {100 * n / len(ids):.0f} %" for element, n in ordered[:_COMMON])
