"""One Parquet or JSON file that holds structures and targets."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sitenet.data.containers import MAX_FILE
from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.sources.base import SourceRow
from sitenet.data.structures.agreement import without_images
from sitenet.data.structures.parse import warnings_logged
from sitenet.data.structures.pymatgen_json import from_dict
from sitenet.data.targets import TARGET, TargetColumns, parse_group
from sitenet.errors import UserError
from sitenet.files import RepeatedKey, unrepeated

ROWS_AT_ONCE = 4096
CHUNK = 2**20  # characters
DECODER = json.JSONDecoder(object_pairs_hook=unrepeated)
# A crystal table as others write it: any lengths and whole numbers, checked row by row.
COLUMNS = {
    "lattice": pa.list_(pa.float64()),
    "atomic_numbers": pa.list_(pa.int64()),
    "frac_coords": pa.list_(pa.float64()),
}


def json_rows(path: Path, columns: TargetColumns = TARGET) -> Iterator[SourceRow]:
    """Entries of a JSON list of objects with the keys id, target and structure, and if wanted group.

    Args:
        path: The file.
        columns: Which targets there are.

    Raises:
        UserError: The file is something else.
    """
    n = 0
    try:
        with path.open(encoding="utf-8-sig") as file:
            for n, row in enumerate(_items(file), start=1):
                yield _row(row if isinstance(row, dict) else {}, n, columns)
    except RepeatedKey as key:
        raise UserError(f"{path}: crystal {n + 1} has the key '{key}' twice: keep the one that counts") from None
    except RecursionError:
        raise UserError(f"{path} is damaged after {n} crystals: its brackets are nested too deeply") from None
    except ValueError as error:
        # Without the place, which JSON's errors count from where the item begins.
        raise UserError(f"{path} is damaged after {n} crystals: {getattr(error, 'msg', error)}") from None
    if n == 0:
        raise UserError(f"{path} is not a JSON list of objects with the keys id, target and structure")


def _items(file: TextIO) -> Iterator[Any]:
    """Items of a JSON list one by one; those with NaN too, which is no JSON, so that their row fails alone.

    Raises:
        ValueError: It is damaged.
    """
    text, at_end, decode = file.read(CHUNK), False, DECODER.raw_decode
    at, is_first = _skip_blanks(text, 0) + 1, True
    if text[at - 1 : at] != "[":
        return
    while True:
        complete = False
        try:
            start = _skip_blanks(text, at)
            if text[start : start + 1] == "]":
                rest = text[start + 1 :]
                break
            if not is_first:
                if text[start : start + 1] != ",":
                    raise ValueError("no comma after an item of the list")
                start = _skip_blanks(text, start + 1)
            item, end = decode(text, start)
            complete = end < len(text)  # else a number may go on
        except ValueError:
            if at_end or len(text) - at > MAX_FILE:
                raise
        if complete:
            yield item
            at, is_first = end, False
        elif at_end:
            raise ValueError("it ends within the list")
        else:
            more = file.read(max(CHUNK, len(text) - at))
            text, at, at_end = text[at:] + more, 0, not more
    while not rest.strip() and (rest := file.read(CHUNK)):
        pass
    if rest.strip():
        raise ValueError("something follows the list")


def _skip_blanks(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t", "\n", "\r"):
        at += 1
    return at


def parquet_rows(path: Path, columns: TargetColumns | None = TARGET) -> Iterator[SourceRow]:
    """Entries of a Parquet file with the columns id and target, and if wanted group.

    Structures are either the other columns of a crystal table, or pymatgen JSON in the column structure.

    Args:
        path: The file.
        columns: Which targets there are; None reads neither targets nor groups, and only the structures are needed.

    Raises:
        UserError: A column is missing or of another type.
    """
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise UserError(f"{path} is not a Parquet file: {error}") from None
    names = file.schema_arrow.names
    needed = [*(["id", *columns.names] if columns else []), *(COLUMNS if set(COLUMNS) <= set(names) else ["structure"])]
    for name in needed:
        if name not in names:
            raise UserError(f"{path} lacks the column '{name}'; it has {', '.join(names)}")
        if names.count(name) > 1:
            raise UserError(f"{path} has the column '{name}' twice: keep the one that counts")
    number = 0
    try:
        read = {*needed, *{"group" if columns else "id"}.intersection(names)}
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=sorted(read)):
            for row in _rows(_cast(batch, path)):
                number += 1
                yield _row(row, number, columns) if isinstance(row, dict) else SourceRow(f"row {number}", row, None)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} is damaged after {number} crystals: {' '.join(str(error).split())[:200]}") from None


def _rows(table: pa.Table) -> Iterator[dict[str, Any] | BadCrystal]:
    """Rows one by one; one with text that is not UTF-8 is unreadable, the others are not."""
    try:
        yield from table.to_pylist()
    except UnicodeDecodeError as error:
        if len(table) == 1:
            yield BadCrystal(f"unreadable: its text is not UTF-8 ({error.reason})")
        else:
            for number in range(len(table)):
                yield from _rows(table.slice(number, 1))


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


def _row(row: dict[str, Any], number: int, columns: TargetColumns | None) -> SourceRow:
    no_id = row.get("id") in (None, "")
    id_ = f"row {number}" if no_id else str(row["id"])
    try:
        if columns is None:
            return SourceRow(id_, _crystal(id_, row), None)
        if no_id:
            raise BadCrystal("missing id: the field is empty")
        target, others = columns.read(row)
        return SourceRow(id_, _crystal(id_, row), target, parse_group(row.get("group")), others=others)
    except BadCrystal as reason:
        return SourceRow(id_, reason, None)


def _crystal(id_: str, row: dict[str, Any]) -> Crystal:
    """The crystal of a row, with every site once."""
    with warnings_logged(id_):
        return without_images((_from_columns if "frac_coords" in row else _from_json)(id_, row))


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
        return DECODER.decode(structure) if isinstance(structure, str) else structure
    except RepeatedKey as key:
        raise BadCrystal(f"unreadable: the structure has the key '{key}' twice") from None
    except (ValueError, RecursionError) as error:
        raise BadCrystal(f"unreadable: the structure is not JSON ({error})") from None
