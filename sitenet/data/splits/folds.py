"""Folds as each kind of splits defines them.

Crystals are dealt by the SHA-256 of seed and group, so a split depends neither on the order of the rows nor
on the version of a random generator.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sitenet.data.csv_rows import csv_rows
from sitenet.data.manifest import Download
from sitenet.data.sources import DatasetSettings
from sitenet.data.splits.held_out import cluster_tests, element_tests
from sitenet.errors import UserError
from sitenet.settings.splits import (
    ClusterSplits,
    ElementSplits,
    GivenSplits,
    HoldoutSplits,
    KFoldSplits,
    SplitSettings,
)

PARTS = ("train", "validation", "test")
COLUMNS = ("id", "fold", "part")


@dataclass(frozen=True)
class FoldIds:
    """Ids of each part of one fold, and what it holds out in words, where that has a name.

    Attributes:
        beside: Crystals without the target, from whose other targets a network may learn in training.
    """

    train: list[str]
    validation: list[str]
    test: list[str]
    held_out: str = ""
    beside: list[str] = field(default_factory=list)


def planned_folds(
    splits: SplitSettings,
    dataset: DatasetSettings,
    groups: Mapping[str, str],
    features: Path | str | None = None,
    download: Download | None = None,
) -> list[FoldIds]:
    """The parts of every fold as the kind of splits defines them.

    Args:
        splits: The kind of splits.
        dataset: Names the task whose official folds are meant.
        groups: Id of each crystal -> group that must stay together; the chemical system, where elements or clusters
            are held out.
        features: Table of the features that clusters are made of.
        download: What the data set was read from, for official folds that were downloaded with it.
    """
    if isinstance(splits, ElementSplits):
        return [_complement(groups, ids, name) for name, ids in element_tests(groups, splits).items()]
    if isinstance(splits, ClusterSplits):
        assert features is not None, "the workflow gives the table of features"
        return [_complement(groups, ids, name) for name, ids in cluster_tests(features, groups, splits).items()]
    if isinstance(splits, KFoldSplits):
        tests = deal(groups, splits.n_folds, splits.seed)
        return [_complement(groups, test) for test in tests]
    if isinstance(splits, HoldoutSplits):
        test = take(groups, round(splits.test_share * len(groups)), f"{splits.seed}/test")
        return [_complement(groups, test)]
    if isinstance(splits, GivenSplits):
        return given_folds(splits)
    return [FoldIds(*parts) for parts in dataset.official_folds(download)]


def _complement(ids: Iterable[str], test: set[str], held_out: str = "") -> FoldIds:
    return FoldIds([id_ for id_ in ids if id_ not in test], [], [id_ for id_ in ids if id_ in test], held_out)


def deal(groups: Mapping[str, str], n_folds: int, seed: int) -> list[set[str]]:
    """Deals whole groups to folds of about equal size: largest groups first, each to the smallest fold."""
    folds: list[set[str]] = [set() for _ in range(n_folds)]
    for members in sorted(_shuffled(groups, str(seed)), key=len, reverse=True):
        min(folds, key=len).update(members)
    return folds


def take(groups: Mapping[str, str], n: int, salt: str) -> set[str]:
    """Takes whole groups at random until they hold at least `n` crystals; smaller choices are nested."""
    taken: set[str] = set()
    for members in _shuffled(groups, salt):
        if len(taken) >= n:
            break
        taken.update(members)
    return taken


def _shuffled(groups: Mapping[str, str], salt: str) -> list[list[str]]:
    members = defaultdict(list)
    for id_, group in groups.items():
        members[group].append(id_)
    return [members[group] for group in sorted(members, key=lambda group: _digest(f"{salt}/{group}"))]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def given_folds(splits: GivenSplits) -> list[FoldIds]:
    """Reads folds from a CSV with the columns id, fold and part.

    Raises:
        UserError: The file cannot be read, or a column, fold or part is not what it should be.
    """
    folds = [FoldIds([], [], []) for _ in range(splits.n_folds)]
    for line, row in csv_rows(splits.path, COLUMNS, "splits.path"):
        where = f"{splits.path}, line {line}"
        if not row["id"] or row["id"] != row["id"].strip():
            raise UserError(f"{where}: the id '{row['id']}' is empty or has blanks at an end")
        if row["part"] not in PARTS:
            raise UserError(f"{where}: part '{row['part']}' is none of {', '.join(PARTS)}")
        if row["fold"] not in map(str, range(splits.n_folds)):
            raise UserError(f"{where}: fold '{row['fold']}' is not in 0..{splits.n_folds - 1} (splits.n_folds)")
        getattr(folds[int(row["fold"])], row["part"]).append(row["id"])
    return folds
