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

How the numbers are made is on the page [statistics](statistics.md).

## Leaderboard

`leaderboard.md` and `leaderboard.tex` (for LaTeX with the package booktabs) show rank, model, MAE with interval,
verdict and training time; where some are missing, `.md` also has the numbers of folds and runs. `leaderboard.csv` has
all columns and every digit. `leaderboard.json` has the same for programs, described by [a JSON
schema](leaderboard.schema.json): its `format` is raised when a key changes its meaning. Errors are in the unit of the
target. Costs depend on the machine. In the CSV, `benchmark`, `dataset`, `target` and `unit` stand before these
columns.

| column | heading | meaning |
|---|---|---|
"""

OTHERS = """\
## Other tables

`comparisons.csv` and `comparisons.md` have the difference of every two models; of more than 20 models, of each and
the best.

| column | meaning |
|---|---|
| `model`, `other` | the two models, the better one first |
| `difference` | MAE of `model` minus that of `other`, on the folds that both have |
| `difference_low`, `difference_high` | 95 % interval of this difference alone |
| `p_value` | p-value of both being equally good, corrected for all pairs of ranked models |
| `folds`, `n_test` | number of folds that both have, and of their labelled test crystals |

`predictions.csv.gz` has every prediction of the models in the leaderboard, in one table that pandas, R and others
read as it is. It is compressed: 500 runs on 100,000 crystals each are 2 GB, and would be 5 GB as text. An ensemble
has no rows: it predicts the mean of its seeds.

| column | meaning |
|---|---|
| `id`, `formula` | the crystal, and its reduced formula as pymatgen writes it |
| `fold`, `seed`, `model` | the run |
| `target` | reference value; empty where it is withheld |
| `prediction`, `error` | predicted value, and predicted minus reference value |

`trials.csv` and `trials.md` have every trial with the settings that vary and its errors. `failures.csv` has every
crystal that could not be used, with stage and reason.

### Ablation

`ablation.csv` and `ablation.md` compare every trial of a network with the first one of its kind in the grid, where
there are several. The interval of `difference` is over seeds and over the formulas of the test crystals. """


def page() -> str:
    """The whole page."""
    rows = [
        f"| `{name}` | {column.label.format(unit='unit')} | {meaning} |"
        for column in LEADERBOARD
        for name, meaning in column.values.items()
    ]
    figures = [f"### `{kind.name}`\n\n{' '.join(kind.caption.split())}" for kind in FIGURES]
    return INTRODUCTION + "\n".join(rows) + "\n\n" + OTHERS + "\n## Figures\n\n" + "\n\n".join(figures) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    SCHEMA.write_text(schema(), "utf-8")
