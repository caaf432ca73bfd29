"""Whether the benchmark that errors are compared with is finished; light to import, as planning asks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sitenet.errors import UserError
from sitenet.evaluation.former import RECORD, differing

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
    if found:
        raise UserError(f"{where}, which has another data set: {', '.join(found)}")
