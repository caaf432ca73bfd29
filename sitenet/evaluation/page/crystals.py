"""The test crystals of a benchmark: what is known of them, and each model's errors on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sitenet.evaluation.runs import LeaderboardRow, mean_predictions


@dataclass(frozen=True)
class TestCrystals:
    """What is known of the crystals of a data set.

    Attributes:
        facts: formula, n_sites, crystal_system and file (empty for data that are not the user's own files), by id.
        training_formulas: The formulas that occur among the training and validation crystals of each fold.
    """

    __test__ = False  # no test, whatever its name

    facts: pd.DataFrame
    training_formulas: Mapping[int, frozenset[str]]

    @classmethod
    def read(cls, facts: Path | str, targets: Path | str, training_parts: Mapping[int, Path | str]) -> "TestCrystals":
        """Reads the facts, `targets.parquet` of the data set and `train.parquet` of each fold."""
        table = pd.read_parquet(facts).set_index("id")
        files = pd.read_parquet(targets).set_index("id").get("file", pd.Series(dtype=object))
        table["file"] = files.reindex(table.index).fillna("")
        formulas = {}
        for fold, path in training_parts.items():
            parts = pd.read_parquet(path, columns=["id", "part"])
            learnt = parts.loc[parts["part"] != "beside", "id"]  # crystals beside them teach other targets alone
            formulas[fold] = frozenset(table["formula"].reindex(learnt).dropna())
        return cls(table, formulas)

    def errors(self, row: LeaderboardRow) -> pd.DataFrame:
        """One line for each scored test crystal of each fold of a model.

        Columns: fold, id, target, prediction (mean over seeds), error (absolute, as in the leaderboard: of an
        ensemble's mean prediction, otherwise averaged over seeds), the facts, and seen: whether the formula occurs in
        the training part.
        """
        folds = []
        for fold, runs in row.runs.items():
            frame = mean_predictions(runs).dropna(subset="target")
            frame["error"] = row.fold_errors(fold)
            frame = frame.join(self.facts).rename_axis("id").reset_index()
            frame["seen"] = frame["formula"].isin(self.training_formulas[fold])
            folds.append(frame.assign(fold=fold))
        return pd.concat(folds, ignore_index=True)
