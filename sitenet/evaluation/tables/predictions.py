"""Every prediction behind the leaderboard, in one file."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from sitenet.data.formula import standard_formula
from sitenet.evaluation.standings import Standings
from sitenet.files import replacing

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("formula", pa.string()),
        ("fold", pa.int64()),
        ("seed", pa.int64()),
        ("model", pa.string()),
        ("target", pa.float64()),
        ("prediction", pa.float64()),
        ("error", pa.float64()),
        ("uncertainty", pa.float64()),
    ]
)


def write_predictions(standings: Standings, structures: Path | str, path: Path | str) -> None:
    """Writes the predictions of every run in the leaderboard, one run after the other, as a compressed CSV.

    Columns: id, formula, fold, seed, model, target (empty where withheld), prediction, error (the prediction minus the
    target) and uncertainty (where a file of predictions states one); the last four in the unit of the target. An
    ensemble has no rows: its predictions are the means of its seeds'. Rows are ordered by model as in the leaderboard,
    then by fold and seed, then as in the fold.

    Args:
        standings: The rows of the leaderboard.
        structures: Table of the crystals, for their formulas.
        path: The file, which ends with .csv.gz.
    """
    formulas = read_formulas(structures) if any(row.runs for row in standings.rows) else {}
    with (
        replacing(path) as temporary,
        pa.CompressedOutputStream(str(temporary), "gzip") as file,
        pa.csv.CSVWriter(file, SCHEMA) as writer,
    ):
        for row in standings.rows:
            for run in [] if row.is_ensemble else row.all_runs:
                key, frame = run.result.key, run.predictions().reset_index()
                columns = {
                    "id": frame["id"],
                    "formula": frame["id"].map(formulas),
                    "fold": key.fold,
                    "seed": key.seed,
                    "model": row.model,
                    "target": frame["target"],
                    "prediction": frame["prediction"],
                    "error": frame["prediction"] - frame["target"],
                    "uncertainty": frame.get("uncertainty", np.nan),
                }
                writer.write_table(pa.Table.from_pandas(pd.DataFrame(columns), SCHEMA, preserve_index=False))


def read_formulas(structures: Path | str) -> Mapping[str, str]:
    """Reduced formula of each crystal by id, elements in the usual order: K2S, not SK2."""
    named = cache(standard_formula)
    found = {}
    for batch in pq.ParquetFile(structures).iter_batches(columns=["id", "atomic_numbers"]):
        for id_, numbers in zip(batch["id"].to_pylist(), batch["atomic_numbers"].to_pylist(), strict=True):
            found[id_] = named(tuple(sorted(numbers)))
    return found
