"""Tables of crystals: Parquet, and the JSON files of Matbench, which pandas writes with `orient="split"`."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import ijson
import pyarrow as pa
import pyarrow.parquet as pq

from sitenet.data.matbench_task import official_task
from sitenet.data.sources.matbench import MATBENCH_TARGETS
from sitenet.data.structure_tables import parquet_rows
from sitenet.errors import UserError, plain
from sitenet.prediction.inputs.contents import structure_of
from sitenet.prediction.inputs.items import Item, path_id

_HEAD = 200  # bytes that tell whether a JSON file is a table
_KEYS = ("columns", "index", "data")


def count_rows(path: Path) -> int | None:
    """Rows of a Parquet file; None where it is none."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError):
        return None


def parquet_items(path: Path) -> Iterator[Item]:
    """Rows of a Parquet file: a crystal table, such as `structures.parquet`, or pymatgen JSON in `structure`.

    Raises:
        UserError: A column is missing or of another type, or the file is damaged.
    """
    return (Item(plain(row.id), row.crystal) for row in parquet_rows(path, columns=None))


def is_json_table(path: Path) -> bool:
    """Whether a JSON file, packed or not, begins as a table of pandas does."""
    try:
        with _opened(path) as file:
            head = file.read(_HEAD).decode("utf-8", "replace").lstrip("\ufeff \t\r\n{").lstrip()
    except (OSError, EOFError, zlib.error):
        return False
    return head.startswith(tuple(f'"{key}"' for key in _KEYS))


def json_table_items(path: Path) -> Iterator[Item]:
    """Rows of a JSON table with a column `structure`; those of an official Matbench file have their official ids.

    Raises:
        UserError: It has no such column, or is damaged.
    """
    task = path.name.lower().removesuffix(".gz").removesuffix(".json")
    n = 0
    try:
        with _opened(path) as file:
            columns = next(ijson.items(file, "columns"), None) or []
        if "structure" not in columns:
            raise UserError(f"{path} lacks the column 'structure'; it has {', '.join(map(str, columns)) or 'none'}")
        place = columns.index("structure")
        with _opened(path) as file:
            for n, row in enumerate(ijson.items(file, "data.item", use_float=True), start=1):
                id_ = official_task(task).id(n - 1) if task in MATBENCH_TARGETS else f"{path_id(path)}#{n}"
                yield Item(id_, structure_of(id_, row[place]))
    except (ijson.JSONError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path} is damaged after {n} crystals: {str(error).splitlines()[0]}") from None
    if n == 0:
        raise UserError(f"{path} has no rows")


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]
