"""Settings of predictions that come from a file."""

from typing import Literal

from pydantic import field_validator

from sitenet.settings.section import InputPath, RowName, Section

CSV, PARQUET, MATBENCH = (".csv", ".csv.gz"), (".parquet",), (".json", ".json.gz")


class PredictionsSettings(Section):
    """Predictions of a model that was trained elsewhere; nothing is trained here.

    Attributes:
        path: CSV (or `.csv.gz`) or Parquet file with the columns id and prediction, and if wanted fold, seed and
            uncertainty; or Matbench's `results.json` (or `.json.gz`), for the official folds.
        name: What the row of the leaderboard is called; the name of the file when left out.
    """

    kind: Literal["predictions"] = "predictions"
    path: InputPath = "predictions.csv"
    name: RowName | None = None

    @field_validator("path")
    @classmethod
    def _known_format(cls, path: str) -> str:
        valid = CSV + PARQUET + MATBENCH
        if not path.endswith(valid):
            raise ValueError(f"the name of a file of predictions ends with one of {', '.join(valid)}")
        return path
