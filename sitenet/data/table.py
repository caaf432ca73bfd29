"""The columnar crystal table, the one format every data source is converted to (Parquet)."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sitenet.data.crystal import Crystal
from sitenet.errors import UserError

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("lattice", pa.list_(pa.float64(), 9)),
        ("atomic_numbers", pa.list_(pa.uint8())),
        ("frac_coords", pa.list_(pa.float64())),
    ]
)
ROW_GROUP = 4096


def bundled_path(name: str) -> Path:
    """Path of a crystal table that comes with the package."""
    return Path(__file__).parent / "bundled" / f"{name}.parquet"


class CrystalTable:
    """Reader of a crystal table; structures are decoded row group by row group.

    Attributes:
        ids: Identifiers of all crystals, in table order.
    """

    def __init__(self, file: pq.ParquetFile):
        self._file = file
        self.ids: list[str] = file.read(columns=["id"])["id"].to_pylist()

    @classmethod
    def open(cls, path: Path | str) -> "CrystalTable":
        """Opens the table at `path`.

        Raises:
            UserError: The file is not a crystal table.
        """
        try:
            file = pq.ParquetFile(path)
        except pa.ArrowInvalid as error:
            raise UserError(f"{path} is not a Parquet file: {error}") from None
        found = {field.name: field.type for field in file.schema_arrow}
        for field in SCHEMA:
            if found.get(field.name) != field.type:
                raise UserError(f"{path} is not a crystal table: column '{field.name}' must be {field.type}")
        return cls(file)

    def __len__(self) -> int:
        """Number of crystals."""
        return len(self.ids)

    def crystals(self, start: int = 0, stop: int | None = None) -> Iterator[Crystal]:
        """Yields rows start..stop-1 in table order; reads only the row groups that hold them."""
        stop = len(self) if stop is None else min(stop, len(self))
        first = 0
        for group in range(self._file.num_row_groups):
            rows = self._file.metadata.row_group(group).num_rows
            if first < stop and first + rows > start:
                low, high = max(start - first, 0), min(stop - first, rows)
                table = self._file.read_row_group(group, columns=SCHEMA.names)
                yield from decode(table.slice(low, high - low))
            first += rows


def decode(table: pa.Table) -> Iterator[Crystal]:
    """Yields the crystals of some rows."""
    lattices = _values(table, "lattice").reshape(-1, 3, 3)
    atomic_numbers, frac_coords = (
        _values(table, "atomic_numbers"),
        _values(table, "frac_coords").reshape(-1, 3),
    )
    n_sites = pc.list_value_length(table["atomic_numbers"]).to_numpy()
    starts = np.cumsum(n_sites) - n_sites
    for id_, lattice, start, n in zip(table["id"].to_pylist(), lattices, starts, n_sites, strict=True):
        yield Crystal(id_, lattice, atomic_numbers[start : start + n], frac_coords[start : start + n])


def _values(table: pa.Table, column: str) -> np.ndarray:
    return pc.list_flatten(table[column]).to_numpy()


def crystal_columns(crystals: Sequence[Crystal]) -> dict[str, pa.Array]:
    """Columns of `SCHEMA` for some crystals."""
    columns = {
        "id": [crystal.id for crystal in crystals],
        "lattice": [crystal.lattice.ravel() for crystal in crystals],
        "atomic_numbers": [crystal.atomic_numbers for crystal in crystals],
        "frac_coords": [crystal.frac_coords.ravel() for crystal in crystals],
    }
    return {name: pa.array(values, SCHEMA.field(name).type) for name, values in columns.items()}


def write_crystals(path: Path | str, crystals: Iterable[Crystal]) -> None:
    """Writes a crystal table, holding one row group of crystals in memory at a time."""
    remaining = iter(crystals)
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        while rows := list(islice(remaining, ROW_GROUP)):
            writer.write_table(pa.table(crystal_columns(rows), SCHEMA))


def copy_rows(source: Path, destination: Path, ids: Collection[str]) -> None:
    """Copies the rows of some crystals from one table to another, in table order."""
    wanted = pa.array(ids, pa.string())
    file = pq.ParquetFile(source)
    with pq.ParquetWriter(destination, SCHEMA, compression="zstd") as writer:
        for batch in file.iter_batches(ROW_GROUP, columns=SCHEMA.names):
            kept = batch.filter(pc.is_in(batch["id"], wanted))
            if len(kept):
                writer.write_batch(kept)
