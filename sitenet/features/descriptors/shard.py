"""Files of descriptors: of a shard of a crystal table, and one row a crystal for regressors."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.table import CrystalTable
from sitenet.errors import UserError, plain
from sitenet.features.descriptors.site_descriptors import Describe, SiteDescriptors, descriptor
from sitenet.features.featurize import neighbour_distances
from sitenet.features.progress import with_progress
from sitenet.files import replacing
from sitenet.settings.features import FeatureSettings

logger = logging.getLogger("sitenet")
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("values", pa.list_(pa.float32())),
        ("of_site", pa.list_(pa.uint16())),
        ("reason", pa.string()),
    ]
)
ROWS = 256  # that are written at a time
AT_ONCE = {"cpu": 1, "cuda": 64}  # crystals: a core is fastest with one
Item = TypeVar("Item")
STATISTICS = ("mean", "max", "min", "std")


def describe_shard(
    table: CrystalTable, settings: FeatureSettings, shard: int, n_shards: int, out: Path, device: str = "cpu"
) -> None:
    """Describes the sites of one of `n_shards` contiguous ranges of a crystal table.

    Args:
        table: Crystal table.
        settings: Feature settings with a descriptor.
        shard: Number of the shard, from 0.
        n_shards: Number of shards.
        out: Parquet file to write. A crystal that cannot be described has a reason and nothing else.
        device: Where to compute.
    """
    assert settings.descriptor is not None
    describe = descriptor(settings.descriptor, device)
    start, stop = (len(table) * number // n_shards for number in (shard, shard + 1))
    crystals = with_progress(table.crystals(start, stop), stop - start, f"{settings.descriptor}, shard {shard}")
    rows = _rows(crystals, settings, describe, AT_ONCE[device])
    with replacing(out) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        for some in _in_groups(rows, ROWS):
            writer.write_table(pa.Table.from_pylist(some, SCHEMA))


def read_descriptors(path: Path, width: int) -> Iterator[tuple[str, SiteDescriptors | str]]:
    """The crystals of a file in its order, each with its descriptors or the reason why it has none.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group).to_pandas()
                for id_, values, of_site, reason in rows[SCHEMA.names].itertuples(index=False):
                    yield id_, reason or SiteDescriptors(values.reshape(-1, width), of_site)
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"descriptors {path} cannot be read ({error}); delete the file and run again") from error


def pooled(paths: Sequence[Path], name: str, width: int) -> pd.DataFrame:
    """Mean, maximum, minimum and standard deviation over the sites of each crystal: id, then 4 columns a feature.

    A crystal without descriptors has no numbers.
    """
    columns = [f"{name} {statistic} {k}" for statistic in STATISTICS for k in range(width)]
    ids, rows = [], []
    for id_, found in (row for path in paths for row in read_descriptors(path, width)):
        ids.append(id_)
        rows.append(np.full(len(columns), np.nan, np.float32) if isinstance(found, str) else _pooled(found))
    frame = pd.DataFrame(np.stack(rows), columns=columns)
    frame.insert(0, "id", ids)
    return frame


def _pooled(found: SiteDescriptors) -> NDArray[np.float32]:
    of_sites = found.values[found.of_site].astype(np.float64)
    statistics = [getattr(of_sites, statistic)(axis=0) for statistic in STATISTICS]
    return np.concatenate(statistics).astype(np.float32)


def _in_groups(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    left = iter(items)
    return iter(lambda: list(islice(left, size)), [])


def _rows(
    crystals: Iterator[Crystal], settings: FeatureSettings, describe: Describe, at_once: int
) -> Iterator[dict[str, object]]:
    for some in _in_groups(crystals, at_once):
        cells: list[Crystal | str] = [_cell(crystal, settings) for crystal in some]
        good = [cell for cell in cells if isinstance(cell, Crystal)]
        found = iter(_described(good, describe))
        for crystal, cell in zip(some, cells, strict=True):
            values = cell if isinstance(cell, str) else next(found)
            row: dict[str, object] = dict.fromkeys(SCHEMA.names) | {"id": crystal.id}
            if isinstance(values, str):
                yield row | {"reason": values}
            else:
                yield row | {"values": values.values.ravel(), "of_site": values.of_site}


def _cell(crystal: Crystal, settings: FeatureSettings) -> Crystal | str:
    try:
        return neighbour_distances(crystal, settings)[0]  # which refuses what cannot be featurized
    except BadCrystal as reason:
        return str(reason)


def _described(cells: Sequence[Crystal], describe: Describe) -> list[SiteDescriptors | str]:
    """Of each cell; one that fails takes no other with it."""
    if not cells:
        return []
    try:
        found = describe(cells)
    except Exception as error:  # it is code of others, and a crystal can be anything
        if len(cells) > 1:
            return [result for cell in cells for result in _described([cell], describe)]
        if isinstance(error, BadCrystal):
            return [str(error)]
        logger.warning("crystal %s could not be described", cells[0].id, exc_info=True)
        return [plain(f"descriptors: {type(error).__name__}: {error}")]
    return [
        SiteDescriptors.merged(cell.atomic_numbers, values) if np.isfinite(values).all() else "descriptors: not finite"
        for cell, values in zip(cells, found, strict=True)
    ]
