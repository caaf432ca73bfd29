"""One Parquet or JSON file that holds structures and targets."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ijson
import pyarrow as pa
import pyarrow.parquet as pq

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.source import Entry
from sitenet.data.structures import from_dict
from sitenet.data.table import SCHEMA, decode
from sitenet.data.targets import parse_target
from sitenet.errors import UserError

ROWS_AT_ONCE = 4096


def json_entries(path: Path) -> Iterator[Entry]:
    """Entries of a JSON list of objects with the keys id, target and structure, and if wanted group.

    Raises:
        UserError: The file is something else.
    """
    n = 0
    try:
        with path.open("rb") as file:
            for n, row in enumerate(ijson.items(file, "item", use_float=True), start=1):
                yield _entry(row if isinstance(row, dict) else {}, n)
    except ijson.JSONError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is damaged after {n} crystals: {reason}") from None
    if n == 0:
        raise UserError(f"{path} is not a JSON list of objects with the keys id, target and structure")


def parquet_entries(path: Path) -> Iterator[Entry]:
    """Entries of a Parquet file with the columns id and target, and if wanted group.

    Structures are either the other columns of a crystal table, or pymatgen JSON in the column structure.

    Raises:
        UserError: A column is missing.
    """
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise UserError(f"{path} is not a Parquet file: {error}") from None
    names = file.schema_arrow.names
    in_columns = set(SCHEMA.names) <= set(names)
    for name in ("id", "target") if in_columns else ("id", "target", "structure"):
        if name not in names:
            raise UserError(f"{path} lacks the column '{name}'; it has {', '.join(names)}")
    others = [name for name in ("id", "target", "group", "structure") if name in names]
    n = 0
    for batch in file.iter_batches(ROWS_AT_ONCE):
        crystals = decode(pa.Table.from_batches([batch])) if in_columns else [None] * len(batch)
        for crystal, row in zip(crystals, batch.select(others).to_pylist(), strict=True):
            n += 1
            yield _entry(row, n, crystal)


def _entry(row: dict[str, Any], number: int, crystal: Crystal | None = None) -> Entry:
    no_id = row.get("id") in (None, "")
    id_ = f"row {number}" if no_id else str(row["id"])
    try:
        if no_id:
            raise BadCrystal("missing id: the field is empty")
        target = parse_target(row.get("target"))
        return Entry(id_, crystal or from_dict(id_, _as_dict(row.get("structure"))), target, row.get("group"))
    except BadCrystal as reason:
        return Entry(id_, reason, None)


def _as_dict(structure: Any) -> Any:
    try:
        return json.loads(structure) if isinstance(structure, str) else structure
    except ValueError as error:
        raise BadCrystal(f"unreadable: the structure is not JSON ({error})") from None
