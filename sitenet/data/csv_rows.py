"""Rows of CSV files that users write, for tables whose columns are fixed."""

import csv
import gzip
import io
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

from sitenet.errors import UserError


def csv_rows(path: Path | str, columns: Collection[str], key: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The number of the line and the fields by column of every row; blank lines are skipped.

    Args:
        path: A CSV file in UTF-8 with a header, compressed where its name ends with .gz.
        columns: Columns that it must have; others are handed on, too.
        key: Key of the configuration that names the file, for messages.

    Raises:
        UserError: The file cannot be read, lacks a column or has one twice, or a row has another number of fields.
    """
    reader = csv.reader(io.StringIO(_text(Path(path), key), newline=""), strict=True)
    try:
        header = next(reader, [])
        if not set(columns) <= set(header) or len(set(header)) < len(header):
            *most, last = columns
            raise UserError(f"{path} needs the columns {', '.join(most)} and {last}, each once; it has {header}")
        for fields in reader:
            if len(fields) != len(header) and fields:
                where = f"{path}, line {reader.line_num}"
                raise UserError(f"{where} has {len(fields)} fields, the header {len(header)}")
            if fields:
                yield reader.line_num, dict(zip(header, fields, strict=True))
    except csv.Error as error:
        raise UserError(f"{path} is not a CSV file: line {reader.line_num}: {error}") from None


def _text(path: Path, key: str) -> str:
    try:
        content = path.read_bytes()
        unpacked = gzip.decompress(content) if path.suffix == ".gz" else content
        return unpacked.decode("utf-8-sig")  # with the mark that spreadsheets write, or without
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path} is no readable .gz file: {error}") from None
    except OSError as error:
        raise UserError(f"cannot read '{path}' ({key}): {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a CSV file in UTF-8: {error}") from None
