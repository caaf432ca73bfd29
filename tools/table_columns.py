"""Writes docs/tables.md and the schema of `leaderboard.json` from their code: `python -m tools.table_columns`."""

from pathlib import Path

from sitenet.evaluation.figures import FIGURES
from sitenet.evaluation.tables.columns import LEADERBOARD
from sitenet.evaluation.tables.record import schema

PAGE = Path(__file__).parents[1] / "docs" / "tables.md"
SCHEMA = PAGE.with_name("leaderboard.schema.json")
INTRODUCTION = """\
# Tables and figures

This page is written by `python -m tools.table_columns` from the code that makes the tables and figures.

## Leaderboard

`leaderboard.csv` has every digit. `leaderboard.md` is rounded, and shows the columns that have a heading here. Errors
are in the unit of the target. Costs depend on the machine. In the CSV, `benchmark`, `dataset`, `target` and `unit`
stand before these columns.

| column | heading | meaning |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    rows = [
        f"| `{name}` | {column.label.format(unit='unit')} | {meaning} |"
        for column in LEADERBOARD
        for name, meaning in column.values.items()
    ]
    figures = [f"### `{kind.name}`\n\n{' '.join(kind.caption.split())}" for kind in FIGURES]
    return INTRODUCTION + "\n".join(rows) + "\n\n## Figures\n\n" + "\n\n".join(figures) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    SCHEMA.write_text(schema(), "utf-8")
