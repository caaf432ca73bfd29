"""How far the attention of a crystal reaches, and descriptors of the crystal that this may depend on."""

import numpy as np
import pandas as pd

from sitenet.features.elements import elemental_properties
from sitenet.models.base.batch import Batch
from sitenet.prediction.attention.pairs import Floats, Pairs
from sitenet.settings.elements import SYMBOLS


def coefficients(batch: Batch, pairs: Pairs, weights_ET: Floats, n_heads: int) -> pd.DataFrame:
    """See `AttentionOfRun.crystals`."""
    products = weights_ET * pairs.distances[:, None]
    tables, largest = products.argmax(axis=1), products.max(axis=1)
    order = np.lexsort((-largest, pairs.crystals))
    first = order[np.searchsorted(pairs.crystals[order], np.arange(pairs.n_crystals))]
    block, head = np.divmod(tables[first], n_heads)
    z = batch.atomic_numbers.cpu().numpy()
    far = batch.pair_j.cpu().numpy()
    ends = zip(z[pairs.near[first]], z[far[first]], strict=True)
    return pd.DataFrame(
        {
            "id": batch.ids,
            "coefficient": largest[first],
            "block": block + 1,
            "head": head + 1,
            "distance": pairs.distances[first],
            "weight": weights_ET[first, tables[first]],
            "elements": ["-".join(SYMBOLS[number - 1] for number in pair) for pair in ends],
            **_descriptors(batch),
        }
    )


def _descriptors(batch: Batch) -> dict[str, Floats]:
    """What the coefficients may depend on, of each crystal.

    Number of primitive sites and of elements, means over sites of atomic number and electronegativity, and ionicity:
    Pauling's share of ionic bonding 1 - exp(-(difference of electronegativities)^2 / 4) for the largest difference.
    """
    z, crystal = batch.atomic_numbers.cpu().numpy(), batch.site_crystal.cpu().numpy()
    counts = batch.site_counts.double().cpu().numpy()
    n_sites, chi = np.bincount(crystal, counts), elemental_properties(["Electronegativity"])[z, 0]
    highest, lowest = np.full(batch.n_crystals, -np.inf), np.full(batch.n_crystals, np.inf)
    np.maximum.at(highest, crystal, chi)
    np.minimum.at(lowest, crystal, chi)
    kinds = np.unique(np.stack([crystal, z]), axis=1)[0]
    return {
        "n_sites": n_sites,
        "n_elements": np.bincount(kinds).astype(float),
        "mean_atomic_number": np.bincount(crystal, counts * z) / n_sites,
        "mean_electronegativity": np.bincount(crystal, counts * chi) / n_sites,
        "ionicity": 1 - np.exp(-((highest - lowest) ** 2) / 4),
    }
