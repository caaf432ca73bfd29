"""Writes docs/tables.md and the schema of `leaderboard.json` from their code: `python -m tools.table_columns`."""

from pathlib import Path

from sitenet.evaluation.figures import ATTENTION_FIGURES, FIGURES, maps_of_trial
from sitenet.evaluation.page.groups import ENOUGH, FEW, GROUPINGS
from sitenet.evaluation.page.parity import MANY, MAX_POINTS, N_WORST
from sitenet.evaluation.page.write import MAX_MODELS
from sitenet.evaluation.tables.columns import LEADERBOARD_OF
from sitenet.evaluation.tables.record import schema
from sitenet.tasks import REGRESSION, TaskName

PAGE = Path(__file__).parents[1] / "docs" / "tables.md"
SCHEMA = PAGE.with_name("leaderboard.schema.json")
INTRODUCTION = """\
# Tables and figures

This page is written by `python -m tools.table_columns` from the code that makes the tables and figures.

## The result page

`results/tables/<name>/index.html` answers the first questions after a run: which model is best, by how much, whether
that is more than noise, what it cost, and where it fails. It is one file of about 6 MB that needs no network and no
server: open it from the disk, send it to a colleague, or print it. It has

- the leaderboard, which can be sorted and filtered: models that are tied with the best and those that were not trained
  here are marked, *Columns* adds columns, and the arrow of a row shows all its values;
- with `compare_to`, the errors of each model here and in the other benchmark on the same crystals, and their
  difference; also fold by fold, where folds hold out something with a name, such as an element
  ([out of distribution](out_of_distribution.md));
- test MAE against training time, with the Pareto front: the models that nothing cheaper beats;
- predictions against references of each model: point at a crystal to see its formula, id and file.
  {points};
- the distribution of the errors of each model, and of all models in one chart;
- where each model fails: its 20 worst crystals, and the MAE of groups of crystals with 95 % intervals (Student's t).
  Groups are made {groupings}
  and by element. An element in fewer than {few} test crystals has no colour. The sentence above the charts names the
  group of {enough} or more crystals whose MAE is largest, by the lower end of its interval;
- errors by epoch, and what each setting of the grid did to the validation error;
- with `analysis`, what range of attention the networks use, and the weights of every head against distance
  ([attention](attention.md));
- data with citation, failed crystals, statistics, hardware, versions, configuration and a glossary.

The {models} best models have charts of their own. Zeros of a target that cannot be negative are a group of their own;
metals and insulators are told apart where the target is a gap. Crystal systems are found once for a data set, by
`describe_crystals`: spglib through pymatgen, within 0.01 angstrom.

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

With `compare_to`, `shift.csv` and `shift.md` say how much larger the errors of each model are than in the benchmark of
that name ([out of distribution](out_of_distribution.md)). Both benchmarks need the same data set. Models are compared
that have the same name and trials in both; ensembles are left out.

| column | meaning |
|---|---|
| `model` | the model |
| `mae` | its MAE, mean over the folds of this benchmark, of the crystals that both benchmarks have tested |
| `other`, `other_mae` | the other benchmark, and the MAE of the same crystals there |
| `difference` | `mae` minus `other_mae` |
| `difference_low`, `difference_high` | 95 % interval of the difference, from a paired bootstrap over formulas |
| `folds`, `n_test` | number of folds, and of their labelled test crystals that both have tested |

`predictions.csv.gz` has every prediction of the models in the leaderboard, in one table that pandas, R and others
read as it is. It is compressed: 500 runs on 100,000 crystals each are 2 GB, and would be 5 GB as text. An ensemble
has no rows: it predicts the mean of its seeds.

| column | meaning |
|---|---|
| `id`, `formula` | the crystal, and its reduced formula as pymatgen writes it |
| `fold`, `seed`, `model` | the run |
| `target` | reference value; empty where it is withheld |
| `prediction`, `error` | predicted value, and predicted minus reference value |
| `uncertainty` | what a file of predictions says of itself; empty elsewhere |

`trials.csv` and `trials.md` have every trial with the settings that vary and its errors. `failures.csv` has every
crystal that could not be used, with stage and reason.

### Ablation

`ablation.csv` and `ablation.md` compare every trial of a network with the first one of its kind in the grid, where
there are several. Where trials share a number of training crystals, each number has its own reference, named in the
column `among`. The interval of `difference` is over seeds and over the formulas of the test crystals.
"""


CLASSES = """

Where the target is a class, the ROC-AUC takes the place of the MAE. These columns are other ones:

| column | heading | meaning |
|---|---|---|
"""


def _introduction() -> str:
    """The introduction with the numbers and names that the page is made with."""
    titles = [grouping.title.replace("{quantity}", "value") for grouping in GROUPINGS]
    return INTRODUCTION.format(
        points=f"Of more than {MANY:,} crystals the density is shown, with a random {MAX_POINTS:,} and the "
        f"{N_WORST} worst as points",
        groupings=", ".join(title for title in titles if title.startswith("by")),
        few=FEW,
        enough=ENOUGH,
        models=MAX_MODELS,
    )


def page() -> str:
    """The whole page."""
    rows, own = _rows("regression"), _rows("classification")
    different = [row for row in own if row not in rows]
    shown = [*FIGURES, *ATTENTION_FIGURES, maps_of_trial(("<trial>", "a trial"))]
    figures = [f"### `{kind.name}`\n\n{' '.join(REGRESSION.words(kind.caption).split())}" for kind in shown]
    leaderboard = "\n".join(rows) + CLASSES + "\n".join(different)
    return _introduction() + leaderboard + "\n\n" + OTHERS + "\n## Figures\n\n" + "\n\n".join(figures) + "\n"


def _rows(task: TaskName) -> list[str]:
    return [
        f"| `{name}` | {column.label.format(unit='unit')} | {meaning} |"
        for column in LEADERBOARD_OF[task]
        for name, meaning in column.values.items()
    ]


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    SCHEMA.write_text(schema(), "utf-8")
