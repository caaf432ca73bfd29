"""`leaderboard.json`: the leaderboard for programs, with a JSON schema."""

import json
from typing import Any

import pandas as pd
from pydantic import Field, create_model

from sitenet.evaluation.results import Results
from sitenet.evaluation.tables.columns import LEADERBOARD
from sitenet.evaluation.tables.summary import FORMAT
from sitenet.records import Record

_CELLS: dict[str, Any] = {
    name: (column.kind | None, Field(description=meaning))
    for column in LEADERBOARD
    for name, meaning in column.values.items()
}
ModelRow = create_model("ModelRow", __base__=Record, __doc__="One model; null where a value is unknown.", **_CELLS)


class Leaderboard(Record):
    """The models of a benchmark with their errors and costs."""

    format: int = Field(default=FORMAT, description="Number of this layout; a key that changes its meaning raises it.")
    benchmark: str = Field(description="Name of the benchmark.")
    dataset: str = Field(description="Name of the data set.")
    target: str = Field(description="Name of the predicted property.")
    unit: str = Field(description="Its unit, which errors have.")
    models: tuple[ModelRow, ...] = Field(  # type: ignore[valid-type]
        description="Ranked models by their MAE, then those without a rank."
    )


def leaderboard_record(table: pd.DataFrame, results: Results) -> Leaderboard:
    """The leaderboard as it stands in the file."""
    manifest = results.manifest
    return Leaderboard(
        benchmark=results.benchmark,
        dataset=manifest.name,
        target=manifest.target,
        unit=manifest.unit,
        models=tuple(ModelRow.model_validate(row) for row in without_missing(table)),
    )


def without_missing(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table by column; None where a value is missing."""
    return [{str(n): None if pd.isna(v) else v for n, v in row.items()} for row in table.to_dict("records")]


def schema() -> str:
    """The JSON schema of the file, as text."""
    whole = Leaderboard.model_json_schema(mode="serialization")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **whole}, indent=1) + "\n"
