"""The benchmark that errors are compared with: its errors, and whether it is finished; light to import for planning."""

import csv
import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sitenet.errors import UserError
from sitenet.evaluation.former import RECORD, differing

if TYPE_CHECKING:
    import pandas as pd

PREDICTIONS = "predictions.csv.gz"
FILES = (RECORD, PREDICTIONS)  # what is read of its tables


def check_other(name: str, tables: Path, dataset: Mapping[str, Any]) -> None:
    """Checks that a benchmark is finished and has the same crystals and targets.

    Args:
        name: Its name.
        tables: Folder of its tables.
        dataset: The section `dataset` of the benchmark that is compared with it.

    Raises:
        UserError: A table is missing or cannot be read, or the data sets differ.
    """
    where = f"configuration key 'compare_to' has the value '{name}'"
    for file in FILES:
        if not (tables / file).exists():
            raise UserError(f"{where}: there is no {tables / file}; run that benchmark first")
    try:
        other = yaml.safe_load((tables / RECORD).read_text("utf-8"))["dataset"]
        found = differing("dataset", dataset, other)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError):
        raise UserError(f"{where}: {tables / RECORD} cannot be read; run that benchmark again") from None
    try:
        with gzip.open(tables / PREDICTIONS, "rt", encoding="utf-8", newline="") as predictions:
            columns = next(csv.reader(predictions), [])
    except (OSError, EOFError, ValueError, csv.Error, zlib.error):
        columns = []
    if not {"id", "model", "target", "error"} <= set(columns):
        raise UserError(f"{where}: {tables / PREDICTIONS} cannot be read; run that benchmark again")
    if found:
        raise UserError(f"{where}, which has another data set: {', '.join(found)}")


@dataclass(frozen=True)
class OtherBenchmark:
    """A finished benchmark that is compared with.

    Attributes:
        name: Its name.
        splits: Its kind of splits.
        trials: Ids of its trials.
        errors: Absolute error of each labelled test crystal by id, averaged over runs, by model.
        targets: Target of each of these crystals by id.
    """

    name: str
    splits: str
    trials: frozenset[str]
    errors: Mapping[str, "pd.Series[float]"]
    targets: "pd.Series[float]"

    @classmethod
    def read(cls, tables: Path) -> "OtherBenchmark":
        """Reads the tables of a benchmark from their folder, which `check_other` has found to be there.

        Raises:
            UserError: Its predictions are damaged.
        """
        import pandas as pd

        config = yaml.safe_load((tables / RECORD).read_text("utf-8"))
        try:
            frame = pd.read_csv(
                tables / PREDICTIONS,
                usecols=["id", "model", "target", "error"],
                dtype={"id": str, "model": str, "target": float, "error": float},
                keep_default_na=False,  # "NA" may be an id
                na_values={"target": [""], "error": [""]},
            ).dropna(subset="error")
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise UserError(
                f"{tables / PREDICTIONS} cannot be read ({error}); run the benchmark {config['name']} again"
            ) from None
        errors = {str(model): own.groupby("id")["error"].agg(_mean_absolute) for model, own in frame.groupby("model")}
        targets = frame.drop_duplicates("id").set_index("id")["target"]
        return cls(config["name"], config["splits"]["kind"], frozenset(config["trials"]), errors, targets)

    def check_targets(self, targets: "pd.Series[float]") -> None:
        """Compares its targets with others by id: errors of other targets are no comparison.

        Raises:
            UserError: A crystal has another target.
        """
        own = targets.reindex(self.targets.index)
        different = own.notna() & ((own - self.targets).abs() > 1e-6 * self.targets.abs())
        if different.any():
            id_ = str(different.idxmax())
            raise UserError(
                f"configuration key 'compare_to' has the value '{self.name}', where {id_} has the target "
                f"{self.targets[id_]:g}, and here {own[id_]:g}: run that benchmark again with these data"
            )


def _mean_absolute(errors: "pd.Series[float]") -> float:
    return float(errors.abs().mean())
