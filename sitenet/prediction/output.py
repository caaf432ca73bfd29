"""Tables of predictions, written while they are made: for people, CSV, JSON Lines and Parquet."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Literal, get_args

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tabulate import tabulate

from sitenet.errors import UserError
from sitenet.files import replacing
from sitenet.prediction.model import Model

Format = Literal["table", "csv", "jsonl", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".txt": "table",
}
_DIGITS = "%.7g"  # what is in a number of 32 bits


def choose_format(out: Path | None, wanted: Format | None) -> Format:
    """The format that is asked for, or that the file's name tells; without a file, a table on a terminal, else CSV.

    Raises:
        UserError: The name tells none, or Parquet would go to a terminal.
    """
    if out is None:
        if wanted == "parquet":
            raise UserError("Parquet needs a file: --out predictions.parquet")
        return wanted or ("table" if sys.stdout.isatty() else "csv")
    if wanted is None and out.suffix.lower() not in _SUFFIXES:
        raise UserError(f"--out {out} tells no format: end it in {', '.join(_SUFFIXES)}, or give --format")
    return wanted or _SUFFIXES[out.suffix.lower()]


@contextmanager
def writing(out: Path | None, format_: Format, model: Model) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Yields a function that writes some rows.

    A file appears under its name when all are written.

    Args:
        out: The file; None prints.
        format_: Of what is written.
        model: Whose predictions they are.
    """
    with ExitStack() as stack:
        temporary = None if out is None else stack.enter_context(replacing(out))
        if format_ == "parquet":
            assert temporary is not None
            yield stack.enter_context(_parquet(temporary))
            return
        file = (
            sys.stdout if temporary is None else stack.enter_context(temporary.open("w", encoding="utf-8", newline=""))
        )
        if format_ == "table":
            yield _table(model, file)
        else:
            yield {"csv": _csv, "jsonl": _json_lines}[format_](file)


def _csv(file: IO[str]) -> Callable[[pd.DataFrame], None]:
    first = True

    def write(frame: pd.DataFrame) -> None:
        """Prints some rows, below the headings that the first ones got."""
        nonlocal first
        frame.to_csv(file, index=False, header=first, float_format=_DIGITS, lineterminator="\n")
        first = False

    return write


def _json_lines(file: IO[str]) -> Callable[[pd.DataFrame], None]:
    def write(frame: pd.DataFrame) -> None:
        for row in frame.to_dict("records"):
            print(json.dumps({name: _plain(value) for name, value in row.items()}, ensure_ascii=False), file=file)

    return write


def _plain(value: object) -> object:
    """A value for JSON: numbers as in CSV, and null for what is missing."""
    if not isinstance(value, float):
        return value
    return float(_DIGITS % value) if value == value else None


@contextmanager
def _parquet(path: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    writer: pq.ParquetWriter | None = None

    def write(frame: pd.DataFrame) -> None:
        nonlocal writer
        schema = writer.schema if writer else _schema(frame)
        writer = writer or pq.ParquetWriter(path, schema, compression="zstd")
        writer.write_table(pa.Table.from_pandas(frame, schema, preserve_index=False))

    yield write
    if writer is not None:
        writer.close()


def _schema(frame: pd.DataFrame) -> pa.Schema:
    """Types of the columns, in which a column without any value yet is text."""
    found = pa.Schema.from_pandas(frame, preserve_index=False)
    return pa.schema([(field.name, pa.string() if pa.types.is_null(field.type) else field.type) for field in found])


def _table(model: Model, file: IO[str]) -> Callable[[pd.DataFrame], None]:
    """Rows for people: numbers with the digits that mean something, and reasons only where there are any."""
    first = True

    def write(frame: pd.DataFrame) -> None:
        """Prints some rows, below the headings that the first ones got."""
        nonlocal first
        shown = _with_intervals(frame, model) if model.uncertainty else frame
        heading = {"regression": f"{model.title} ({model.unit})", "classification": f"probability of {model.title}"}
        shown = shown.drop(columns="unit").rename(columns={"prediction": heading[model.task.name]})
        if frame["reason"].isna().all():
            shown = shown.drop(columns="reason")
        if len(model.predictors) == 1:
            shown = shown.drop(columns="spread", errors="ignore")
        for name in shown.select_dtypes("float"):
            shown[name] = [f"{value:.{model.decimals}f}" if value == value else "-" for value in shown[name]]
        text = shown.astype(object).where(shown.notna(), "")
        headers = list(text) if first else ()
        print(tabulate(text.to_numpy().tolist(), headers, "plain", disable_numparse=True), file=file)
        first = False

    return write


def _with_intervals(frame: pd.DataFrame, model: Model) -> pd.DataFrame:
    """For people: one interval as text, the probability of a metal in percent, flags without details."""
    ends = zip(frame["low_95"], frame["high_95"], strict=True)
    shown = frame[["id", "formula", "prediction", "unit", "reason"]].copy()
    shown.insert(
        3,
        "95 % interval",
        [f"{low:.{model.decimals}f} to {high:.{model.decimals}f}" if low == low else "-" for low, high in ends],
    )
    if "metal" in frame:
        shown.insert(4, "metal", [f"{100 * share:.0f} %" if share == share else "-" for share in frame["metal"]])
    names = [
        ", ".join(dict.fromkeys(flag.split(":")[0] for flag in flags.split("; ")))
        for flags in frame["flags"].fillna("")
    ]
    shown.insert(len(shown.columns) - 2, "flags", names)
    return shown
