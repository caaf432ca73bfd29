"""Targets as users write them, and tables of them."""

import csv
import io
from typing import Any

from sitenet.data.crystal import BadCrystal
from sitenet.errors import UserError


def parse_target(value: Any) -> float:
    """A target as a number.

    Raises:
        BadCrystal: It is missing or not a number.
    """
    if value is None or str(value).strip().lower() in ("", "nan", "none", "null"):
        raise BadCrystal("missing target: the field is empty")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise BadCrystal(f"bad target: '{value}' is not a number") from None


def parse_group(value: Any) -> str | None:
    """A group as text; None where it is missing (null, NaN or blank)."""
    missing = value is None or value != value  # NaN alone differs from itself
    return None if missing else str(value).strip() or None


def read_targets(content: bytes, name: str) -> list[dict[str, str]]:
    """Rows of a CSV with the columns file and target, and if wanted id and group.

    Args:
        content: What the file holds.
        name: Its name, for messages.

    Raises:
        UserError: It is no CSV file in UTF-8, or lacks a column.
    """
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        rows = [{key: value.strip() for key, value in row.items() if key and value} for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{name} is not a CSV file in UTF-8: {error}") from None
    for column in ("file", "target"):
        if column not in (reader.fieldnames or ()):
            raise UserError(f"{name} lacks the column '{column}'; it has {', '.join(reader.fieldnames or ())}")
    return rows
