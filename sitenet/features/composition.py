"""Composition features: Magpie statistics over the elements of a formula."""

import logging
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from matminer.featurizers.composition import ElementProperty
from pymatgen.core import Composition

from sitenet.data.formula import reduced_formula
from sitenet.data.table import CrystalTable

logger = logging.getLogger("sitenet")
_LOG_EVERY = 2000


def write_composition_features(structures: Path | str, path: Path | str) -> None:
    """Writes the Magpie features of every crystal of a table (id, then 132 columns) as Parquet.

    The features are statistics over elemental properties (Ward et al., npj Comput. Mater. 2, 16028 (2016)), computed
    by matminer. A property that is unknown for an element is replaced by its mean over the elements.
    """
    table = CrystalTable.open(structures)
    featurizer = ElementProperty.from_preset("magpie", impute_nan=True)
    of_formula = cache(lambda formula: featurizer.featurize(Composition(formula)))
    rows = []
    for done, crystal in enumerate(table.crystals(), start=1):
        rows.append(np.array(of_formula(reduced_formula(crystal.atomic_numbers)), dtype=np.float32))
        if done % _LOG_EVERY == 0 or done == len(table):
            logger.info("composition features: %d of %d crystals", done, len(table))
    frame = pd.DataFrame(rows, columns=featurizer.feature_labels())
    frame.insert(0, "id", table.ids)
    frame.to_parquet(path, index=False)
