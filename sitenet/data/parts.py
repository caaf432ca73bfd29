"""One row for each crystal of a table, computed by several processes."""

import logging
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from joblib import Parallel, delayed

from sitenet.data.table import ROW_GROUP, CrystalTable

log = logging.getLogger("sitenet")


def in_parts(
    structures: Path | str, processes: int, compute: Callable[[Path | str, int, int], pd.DataFrame], what: str
) -> pd.DataFrame:
    """The rows of all crystals, in the order of the table.

    Args:
        structures: The crystal table.
        processes: Number of processes that share the work.
        compute: Gives the rows of the crystals from one place of the table to another.
        what: What is computed, for the log.
    """
    n = len(CrystalTable.open(structures))
    size = min(ROW_GROUP, -(-n // processes))  # a part reads the row groups that hold it
    parts = Parallel(n_jobs=processes, return_as="generator")(
        delayed(compute)(structures, start, start + size) for start in range(0, n, size)
    )
    frames = []
    for frame in parts:
        frames.append(frame)
        log.info("%s: %d of %d crystals", what, sum(map(len, frames)), n)
    return pd.concat(frames, ignore_index=True)
