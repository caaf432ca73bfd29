"""One Parquet or JSON file that holds structures and targets."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import ijson
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.source import Entry
from sitenet.data.structures.pymatgen_json import from_dict
from sitenet.data.targets import parse_group, parse_target
from sitenet.errors import UserError

ROWS_AT_ONCE = 4096
MAX_DEPTH = 100  # of brackets in brackets; a structure in a row has eight
# A crystal table as others write it: any lengths and whole numbers, checked row by row.
COLUMNS = {
    "lattice": pa.list_(pa.float64()),
    "atomic_numbers": pa.list_(pa.int64()),
    "frac_coords": pa.list_(pa.float64()),
}


def json_entries(path: Path) -> Iterator[Entry]:
    """Entries of a JSON list of objects with the keys id, target and structure, and if wanted group.

    Raises:
        UserError: The file is something else.
    """
    n = 0
    try:
        with path.open("rb") as file:
            for n, row in enumerate(ijson.items(_Shallow(file, path), "item", use_float=True), start=1):
                yield _entry(row if isinstance(row, dict) else {}, n)
    except ijson.JSONError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is damaged after {n} crystals: {reason}") from None
    if n == 0:
        raise UserError(f"{path} is not a JSON list of objects with the keys id, target and structure")


class _Shallow:
    """A JSON file that is refused where it is nested more deeply than structures are, before it takes all memory."""

    def __init__(self, file: IO[bytes], path: Path):
        self._file, self._path = file, path
        self._depth = self._quotes = 0
        self._escaped = False  # whether the last character was a backslash that escapes the next

    def read(self, size: int = -1) -> bytes:
        """The next part of the file."""
        part = self._file.read(size)
        plain = re.sub(rb"\\.", b"", part[1:] if self._escaped else part, flags=re.DOTALL)
        self._escaped = plain.endswith(b"\\")
        codes = np.frombuffer(plain, dtype=np.uint8)
        quotes = self._quotes + np.cumsum(codes == ord('"'))
        steps = np.isin(codes, list(b"[{")).astype(np.int64) - np.isin(codes, list(b"]}"))
        depths = self._depth + np.cumsum(np.where(quotes % 2 == 0, steps, 0))
        if len(codes):
            self._depth, self._quotes = int(depths[-1]), int(quotes[-1])
            if depths.max() > MAX_DEPTH:
                raise UserError(f"{self._path} is nested more than {MAX_DEPTH} deep, as no list of structures is")
        return part


def parquet_entries(path: Path) -> Iterator[Entry]:
    """Entries of a Parquet file with the columns id and target, and if wanted group.

    Structures are either the other columns of a crystal table, or pymatgen JSON in the column structure.

    Raises:
        UserError: A column is missing or of another type.
    """
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise UserError(f"{path} is not a Parquet file: {error}") from None
    names = file.schema_arrow.names
    needed = ["id", "target", *(COLUMNS if set(COLUMNS) <= set(names) else ["structure"])]
    for name in needed:
        if name not in names:
            raise UserError(f"{path} lacks the column '{name}'; it has {', '.join(names)}")
    number = 0
    for batch in file.iter_batches(ROWS_AT_ONCE, columns=[*needed, *{"group"}.intersection(names)]):
        for row in _cast(batch, path).to_pylist():
            number += 1
            yield _entry(row, number)


def _cast(batch: pa.RecordBatch, path: Path) -> pa.Table:
    """Rows whose structure columns have the types of `COLUMNS`."""
    table = pa.Table.from_batches([batch])
    for name in COLUMNS.keys() & set(table.column_names):
        try:
            column = table[name].cast(COLUMNS[name])
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            found = table[name].type
            raise UserError(f"{path}: the column '{name}' must be {COLUMNS[name]}; it is {found}") from None
        table = table.set_column(table.column_names.index(name), name, column)
    return table


def _entry(row: dict[str, Any], number: int) -> Entry:
    no_id = row.get("id") in (None, "")
    id_ = f"row {number}" if no_id else str(row["id"])
    try:
        if no_id:
            raise BadCrystal("missing id: the field is empty")
        target = parse_target(row.get("target"))
        read = _from_columns if "frac_coords" in row else _from_json
        return Entry(id_, read(id_, row), target, parse_group(row.get("group")))
    except BadCrystal as reason:
        return Entry(id_, reason, None)


def _from_columns(id_: str, row: dict[str, Any]) -> Crystal:
    for name in COLUMNS:
        if row[name] is None or None in row[name]:
            raise BadCrystal(f"unreadable: {name} is empty or has empty places")
    n_sites, n_lattice, n_coords = (len(row[name]) for name in ("atomic_numbers", "lattice", "frac_coords"))
    if n_lattice != 9 or n_coords != 3 * n_sites:
        raise BadCrystal(f"unreadable: {n_sites} sites need 9 numbers in lattice and {3 * n_sites} in frac_coords")
    lattice, frac_coords = (np.array(row[name], dtype=float).reshape(-1, 3) for name in ("lattice", "frac_coords"))
    return Crystal(id_, lattice, np.array(row["atomic_numbers"], dtype=np.int64), frac_coords)


def _from_json(id_: str, row: dict[str, Any]) -> Crystal:
    return from_dict(id_, _as_dict(row.get("structure")))


def _as_dict(structure: Any) -> Any:
    try:
        return json.loads(structure) if isinstance(structure, str) else structure
    except (ValueError, RecursionError) as error:
        raise BadCrystal(f"unreadable: the structure is not JSON ({error})") from None
