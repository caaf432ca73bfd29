"""Targets as users write them, and tables of them."""

import csv
import io
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sitenet.data.crystal import BadCrystal
from sitenet.errors import UserError
from sitenet.tasks import TaskName

log = logging.getLogger(__name__)
MAX_ROWS = 1_000_000
CLASSES = {"true": 1.0, "false": 0.0}
COLUMNS = ("file", "target", "id", "group")
SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}
# Not all that `float` takes: it reads 1_5 as 15, and digits of any script.
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?inf(inity)?", re.IGNORECASE)


def is_missing(value: Any) -> bool:
    """Whether a field is empty."""
    return value is None or str(value).strip().lower() in ("", "nan", "none", "null")


def parse_target(value: Any) -> float:
    """A target as a number, which need not be finite.

    Raises:
        BadCrystal: It is missing or not a number.
    """
    if is_missing(value):
        raise BadCrystal("missing target: the field is empty")
    text = str(value).strip()
    if isinstance(value, bool) or not (
        NUMBER.fullmatch(text) if isinstance(value, str) else hasattr(value, "__float__")
    ):
        hint = ", write 1234.5 with a point and nothing between thousands" if re.search(r"\d,\d", text) else ""
        raise BadCrystal(f"bad target: '{text[:80]}' is not a number{hint}")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise BadCrystal(f"bad target: '{text[:80]}' is not a number") from None


def parse_class(value: Any) -> float:
    """The class of a crystal as 0 or 1, from true or false, or from a number.

    Raises:
        BadCrystal: It is missing or neither of the two.
    """
    text = str(value).strip().lower()
    if text in CLASSES:
        return CLASSES[text]
    try:
        number = parse_target(value)
    except BadCrystal as reason:
        if str(reason).startswith("missing"):
            raise
        number = -1.0
    if number not in CLASSES.values():
        raise BadCrystal(f"bad target: '{str(value)[:80]}' is no class, which is true or false, or 1 or 0")
    return number


# How each task reads its targets.
Parser = Callable[[Any], float]
PARSERS: dict[TaskName, Parser] = {"regression": parse_target, "classification": parse_class}


@contextmanager
def named(target: str) -> Iterator[None]:
    """Adds to what is wrong with a value which of several targets it is of."""
    try:
        yield
    except BadCrystal as reason:
        raise BadCrystal(f"{reason} ({target})") from None


@dataclass(frozen=True)
class TargetColumns:
    """The columns of a table in which targets are.

    Attributes:
        parse: Reads the target that is predicted, in the column `target`.
        others: Names of further targets, numbers in columns of these names.
    """

    parse: Parser = parse_target
    others: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return ("target", *self.others)

    def read(self, row: Mapping[str, Any]) -> tuple[float | None, dict[str, float | None]]:
        """The target of a row, and its others by name; None is not known.

        Raises:
            BadCrystal: One is no number, or all are missing.
        """
        others: dict[str, float | None] = {}
        for name in self.others:
            with named(name):
                others[name] = None if is_missing(row.get(name)) else parse_target(row[name])
        target = row.get("target")
        if is_missing(target) and any(value is not None for value in others.values()):
            return None, others
        if self.others and is_missing(target):
            raise BadCrystal(f"missing target: {' and '.join(self.names)} are empty")
        return self.parse(target), others


TARGET = TargetColumns()


def parse_group(value: Any) -> str | None:
    """A group as text; None where it is missing, as targets may be."""
    return None if is_missing(value) else str(value).strip()


def read_targets(content: bytes, name: str, others: Sequence[str] = ()) -> list[dict[str, str]]:
    """Rows of a table with the columns file and target, and if wanted id and group.

    Columns are separated by commas, semicolons or tabs, whichever makes the header one with file and target. The
    encoding is UTF-8, or UTF-16 with the mark that spreadsheets write.

    Args:
        content: What the file holds.
        name: Its name, for messages.
        others: Further columns that it must have.

    Raises:
        UserError: It is no such table: the line and the reason.
    """
    text = _decoded(content, name)
    if text.count("\n") > MAX_ROWS:
        raise UserError(f"{name} has more than {MAX_ROWS:,} rows: use a Parquet file for a data set of that size")
    separator, header = _header(text, name, others)
    log.info("%s: columns %s, separated by %s", name, ", ".join(filter(None, header)), SEPARATORS[separator])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows = []
    try:
        next(reader, None)  # the header
        for fields in reader:
            if any(field.strip() for field in fields):
                if len(fields) != len(header):
                    raise UserError(
                        f"{name}: line {reader.line_num} has {len(fields)} fields, the header {len(header)} "
                        f"(separated by {SEPARATORS[separator]}): quote a field that holds the separator, and write "
                        "numbers with a decimal point"
                    )
                rows.append(dict(zip(header, (field.strip() for field in fields), strict=True)))
    except csv.Error as error:
        raise UserError(f"{name} is not a CSV file in UTF-8: line {reader.line_num}: {error}") from None
    return rows


def _decoded(content: bytes, name: str) -> str:
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"{name} is not a CSV file in UTF-8: line {line}: {error.reason}; save it as UTF-8") from None


def _header(text: str, name: str, others: Sequence[str]) -> tuple[str, list[str]]:
    """The separator and the names of the columns, those that matter in lower case."""
    line = text.splitlines()[0] if text.strip() else ""
    found = {}
    for separator in SEPARATORS:
        names = [field.strip() for field in next(csv.reader([line], delimiter=separator), [])]
        found[separator] = [field.lower() if field.lower() in COLUMNS else field for field in names]
    separator = max(SEPARATORS, key=lambda s: (len({"file", "target"} & set(found[s])), len(found[s])))
    header = found[separator]
    for column in ("file", "target", *others):
        if column not in header:
            raise UserError(f"{name} lacks the column '{column}'; it has {', '.join(header) or 'no columns'}")
    twice = [column for column, n in Counter(header).items() if column and n > 1]
    if twice:
        raise UserError(f"{name} has the column '{twice[0]}' twice: keep the one that counts")
    return separator, header
