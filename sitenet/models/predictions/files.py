"""Reads the predictions of a model that was trained elsewhere, for the test crystals of one fold.

A score of fewer crystals must never look like one of all: a file is refused that lacks one of them, has one twice, or
has a value for one that is no finite number. Rows of other crystals, folds and seeds are counted and not used.
"""

import gzip
import json
import logging
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sitenet.data.csv_rows import csv_rows
from sitenet.data.targets import CLASSES, NUMBER
from sitenet.errors import UserError
from sitenet.files import RepeatedKey, unrepeated
from sitenet.models.predictions.settings import CSV, MATBENCH
from sitenet.tasks import TaskName

log = logging.getLogger("sitenet")
NEEDED, NUMBERS, PLACES = ("id", "prediction"), ("prediction", "uncertainty"), ("fold", "seed")
GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Wanted:
    """The crystals whose predictions are wanted.

    Attributes:
        dataset: Name of the data set; that of the task for Matbench's files.
        fold: Number of the fold.
        seed: Seed of the run.
        ids: Ids of the crystals, in the order wanted.
        known: Ids of all crystals of the data set, if others are to be counted.
        needs_fold: Folds may share test crystals, so that a prediction must say which fold's training it is from.
        part: What the crystals are, for messages.
        task: What is predicted. Of a class it is the probability of class 1, or true and false.
    """

    dataset: str
    fold: int
    seed: int
    ids: Sequence[str]
    known: Collection[str] | None = None
    needs_fold: bool = False
    part: str = "test"
    task: TaskName = "regression"


def read_predictions(path: Path, wanted: Wanted) -> pd.DataFrame:
    """The predictions of a file for a test part.

    Args:
        path: CSV or Parquet file with the columns id and prediction, and if wanted fold, seed and uncertainty; or
            Matbench's results.json. Without the column fold or seed, a row is for each of them.
        wanted: The test part.

    Returns:
        Columns id and prediction, and uncertainty where the file has it, in the unit of the target and the order of
        the ids.

    Raises:
        UserError: The file is damaged, or lacks, repeats or has no finite number for one of the crystals.
    """
    if path.name.endswith(MATBENCH):
        table = _matbench_rows(path, wanted)
    else:
        table = _csv_table(path) if path.name.endswith(CSV) else _parquet_table(path)
    if wanted.needs_fold and "fold" not in table:
        raise UserError(f"{path} needs the column fold: the folds of these splits may share test crystals")
    where = f"of the {len(wanted.ids)} {wanted.part} crystals of fold {wanted.fold}, seed {wanted.seed}"
    own = _of_this_run(table, wanted, path)
    rows = own[own["id"].isin(set(wanted.ids))]
    _refuse(path, "lacks predictions for", sorted(set(wanted.ids) - set(rows["id"])), where + _places(table))
    _refuse(path, "has two or more predictions for", rows["id"][rows["id"].duplicated()].unique().tolist(), where)
    for name in NUMBERS:
        if name in rows:
            values = rows[name].map(_probability if _is_probability(name, wanted) else _number)
            bad = ~np.isfinite(values) | ((values < 0) if name == "uncertainty" else False)
            what = "negative or not a finite number" if name == "uncertainty" else "not a finite number"
            what = "no probability from 0 to 1" if _is_probability(name, wanted) else what
            _refuse(path, f"has a {name} that is {what} for", rows["id"][bad].tolist(), where)
            rows = rows.assign(**{name: values})
    return rows.set_index("id").loc[list(wanted.ids)].reset_index()[[c for c in ("id", *NUMBERS) if c in rows]]


def _of_this_run(table: pd.DataFrame, wanted: Wanted, path: Path) -> pd.DataFrame:
    """Rows of the fold and seed; says how many others there are, and how many ids the data set does not have."""
    own = table
    for name in PLACES:
        if name in own:
            own = own[own[name] == str(getattr(wanted, name))]
    unknown = [] if wanted.known is None else table["id"][~table["id"].isin(set(wanted.known))].unique().tolist()
    if len(unknown):
        log.warning("%s: %d ids are not in the data set and are not used, %s for one", path, len(unknown), unknown[0])
    others = len(table) - int(own["id"].isin(set(wanted.ids)).sum())
    log.info("%s: %d rows; %d are of other crystals, folds or seeds", path, len(table), others)
    return own


def _refuse(path: Path, what: str, ids: Sequence[str], where: str) -> None:
    if len(ids):
        raise UserError(f"{path} {what} {len(ids)} {where}: {', '.join(ids[:3])}{', ...' * (len(ids) > 3)}")


def _places(table: pd.DataFrame) -> str:
    """The folds and seeds of the table, for messages."""
    found = [f"{name}s {', '.join(sorted(table[name].unique())[:5])}" for name in PLACES if name in table]
    return f" (the file has {' and '.join(found)})" if found else ""


def _number(value: Any) -> float:
    """The value as a number; NaN if it is none. Text must be a plain number: `float` would read 1_5 as 15."""
    if isinstance(value, str) and not NUMBER.fullmatch(value.strip()):
        return np.nan
    try:
        return np.nan if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return np.nan


def _is_probability(name: str, wanted: Wanted) -> bool:
    return name == "prediction" and wanted.task == "classification"


def _probability(value: Any) -> float:
    """The value as a probability, or a class as 0 or 1; NaN if it is neither."""
    number = CLASSES.get(str(value).strip().lower(), _number(value))
    return number if 0 <= number <= 1 else np.nan


def _csv_table(path: Path) -> pd.DataFrame:
    rows = [row for _, row in csv_rows(path, NEEDED, "model.path")]
    table = pd.DataFrame(rows, columns=list(rows[0]) if rows else list(NEEDED), dtype=object)
    return table.assign(**{name: table[name].str.strip() for name in ("id", *PLACES) if name in table})


def _parquet_table(path: Path) -> pd.DataFrame:
    try:
        names = pq.read_schema(path).names
        for name in (*NEEDED, *PLACES, "uncertainty"):
            if names.count(name) > 1 or (name in NEEDED and name not in names):
                raise UserError(f"{path} needs the columns id and prediction, each once; it has {', '.join(names)}")
        table = pq.read_table(path, columns=[n for n in (*NEEDED, *PLACES, "uncertainty") if n in names])
        for name in ("id", *PLACES):
            if name in names and not _is_text_or_whole(table.schema.field(name).type):
                raise UserError(f"{path}: the column {name} has the type {table.schema.field(name).type}, not text")
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"cannot read {path} as Parquet (model.path): {' '.join(str(error).split())[:200]}") from None
    frame = table.to_pandas(integer_object_nulls=True, ignore_metadata=True)  # id stays a column where it is the index
    return frame.assign(**{name: frame[name].astype(str) for name in ("id", *PLACES) if name in frame})


def _is_text_or_whole(kind: pa.DataType) -> bool:
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_integer)
    return any(is_kind(values) for is_kind in texts)


def _matbench_rows(path: Path, wanted: Wanted) -> pd.DataFrame:
    """Id and prediction of a fold in the layout of `MatbenchBenchmark.to_file`."""
    try:
        content = path.read_bytes()
        text = gzip.decompress(content) if content.startswith(GZIP) else content
        tasks = json.loads(text, object_pairs_hook=unrepeated)["tasks"]
        results = {name: task["results"] for name, task in tasks.items()}
        rows = dict(results.get(wanted.dataset, {}).get(f"fold_{wanted.fold}", {}).get("data", {}))
    except RepeatedKey as key:
        raise UserError(f"{path} has the key '{key}' twice: keep the one that counts") from None
    except (OSError, EOFError, zlib.error, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not a readable results.json or results.json.gz of Matbench: {error}") from None
    if wanted.dataset not in results:
        raise UserError(f"{path} has no predictions for {wanted.dataset} (valid: {', '.join(sorted(results))})")
    return pd.DataFrame({"id": list(rows), "prediction": list(rows.values())}, dtype=object)
