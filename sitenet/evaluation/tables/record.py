"""`leaderboard.json`: the leaderboard for programs, with a JSON schema."""

import json
from typing import Any

import pandas as pd
from pydantic import Field, create_model

from sitenet.evaluation.results import Results
from sitenet.evaluation.tables.columns import LEADERBOARD_OF
from sitenet.evaluation.tables.summary import FORMAT
from sitenet.records import Record
from sitenet.tasks import TaskName


def _row_model(name: str, task: TaskName) -> type[Record]:
    cells: dict[str, Any] = {
        name: (column.kind | None, Field(description=meaning))
        for column in LEADERBOARD_OF[task]
        for name, meaning in column.values.items()
    }
    return create_model(name, __base__=Record, __doc__="One model; null where a value is unknown.", **cells)


ModelRow = _row_model("ModelRow", "regression")
ClassModelRow = _row_model("ClassModelRow", "classification")
ROW_OF = {"regression": ModelRow, "classification": ClassModelRow}


class Leaderboard(Record):
    """The models of a benchmark with their errors and costs."""

    format: int = Field(default=FORMAT, description="Number of this layout; a key that changes its meaning raises it.")
    benchmark: str = Field(description="Name of the benchmark.")
    dataset: str = Field(description="Name of the data set.")
    target: str = Field(description="Name of the predicted property.")
    unit: str = Field(description="Its unit, which errors have; empty of a classification.")
    task: TaskName = Field(default="regression", description="What is predicted: a number, or one of two classes.")
    models: tuple[ModelRow | ClassModelRow, ...] = Field(  # type: ignore[valid-type]
        description="Ranked models by their MAE or ROC-AUC, best first, then those without a rank."
    )


def leaderboard_record(table: pd.DataFrame, results: Results) -> Leaderboard:
    """The leaderboard as it stands in the file."""
    manifest = results.manifest
    return Leaderboard(
        benchmark=results.benchmark,
        dataset=manifest.name,
        target=manifest.target,
        unit=manifest.unit,
        task=manifest.task,
        models=tuple(ROW_OF[manifest.task].model_validate(row) for row in without_missing(table)),
    )


def without_missing(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table by column; None where a value is missing."""
    return [{str(n): None if pd.isna(v) else v for n, v in row.items()} for row in table.to_dict("records")]


def schema() -> str:
    """The JSON schema of the file, as text."""
    whole = Leaderboard.model_json_schema(mode="serialization")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **whole}, indent=1) + "\n"
