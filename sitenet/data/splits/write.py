"""Split files: which crystals of a data set are trained on, validated on and tested on."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sitenet.data.manifest import Download, FoldCounts, Splits
from sitenet.data.sources import DatasetSettings
from sitenet.data.splits.folds import PARTS, FoldIds, planned_folds, take
from sitenet.data.splits.held_out import chemical_systems
from sitenet.errors import UserError
from sitenet.files import replacing
from sitenet.settings.splits import OUT_OF_DISTRIBUTION, SplitSettings

log = logging.getLogger(__name__)


def write_splits(
    splits: SplitSettings,
    dataset: DatasetSettings,
    data_dir: Path | str,
    features: Path | str | None = None,
    download: Download | None = None,
) -> Splits:
    """Reads `targets.parquet`, for some kinds also `structures.parquet`, and writes `folds/` in the same folder.

    Each `folds/fold{k}/` holds `train.parquet` (id, target, part), `test_inputs.parquet` (id) and
    `test_targets.parquet` (id, target). The record that is returned becomes `splits.json`. Further targets are columns
    of `train.parquet`, where crystals that have nothing else are the part "beside".

    Args:
        splits: The kind of splits.
        dataset: What is split.
        data_dir: The folder.
        features: Table of the features that clusters are made of.
        download: What the data set was read from, for official folds that were downloaded with it.

    Raises:
        UserError: The kind does not suit the data set, or a part of a fold is empty or lacks a class.
    """
    folder = Path(data_dir)
    table = pq.read_table(folder / "targets.parquet").to_pydict()
    targets = dict(zip(table["id"], table["target"], strict=True))
    others = {other.name: dict(zip(table["id"], table[other.name], strict=True)) for other in dataset.others}
    groups = _groups(splits, dict(zip(table["id"], table["group"], strict=True)), folder)
    planned = planned_folds(splits, dataset, groups, features, download)
    folds = [used_fold(fold, number, targets, groups, splits, bool(others)) for number, fold in enumerate(planned)]
    if dataset.task_name == "classification":
        _require_both_classes(folds, targets)
    for number, fold in enumerate(folds):
        _write_fold(folder / "folds" / f"fold{number}", fold, targets, others)
    record = Splits(
        kind=splits.kind,
        seed=splits.seed,
        folds=tuple(_counts(fold, whole, targets) for fold, whole in zip(folds, planned, strict=True)),
        sha256=_checksum(folds),
        held_out=tuple(fold.held_out for fold in planned if fold.held_out),
    )
    names = ("train", "test_inputs", "test_targets")
    files = [f"folds/fold{number}/{name}.parquet" for number in range(len(folds)) for name in names]
    return record.write(folder / "splits.json", files)


def _groups(splits: SplitSettings, given: Mapping[str, str], folder: Path) -> Mapping[str, str]:
    """What no kind of splits may divide, by id: a crystal alone, its `given` group, or its chemical system."""
    if splits.kind == "grouped_kfold":
        return given
    if splits.kind in OUT_OF_DISTRIBUTION:
        # Validation parts are whole chemical systems, too: a random one would choose epochs and trials by how well a
        # network interpolates. A whole element or cluster would leave too little to train on.
        systems = chemical_systems(folder / "structures.parquet")
        return {id_: systems[id_] for id_ in given}
    return {id_: id_ for id_ in given}


def used_fold(
    planned: FoldIds,
    number: int,
    targets: Mapping[str, float | None],
    groups: Mapping[str, str],
    splits: SplitSettings,
    has_others: bool = False,
) -> FoldIds:
    """What is used of a planned fold: crystals that are there and, outside the test part, labelled.

    Of the training part at most `max_train` crystals. Where none is planned as validation part,
    `validation_share` of the training part becomes one. Where the data set `has_others`, further targets, crystals
    without this one can teach those.

    Raises:
        UserError: A crystal is in two parts, or a part is empty.
    """
    train = [id_ for id_ in planned.train if targets.get(id_) is not None]
    validation = [id_ for id_ in planned.validation if targets.get(id_) is not None]
    if splits.max_train is not None:
        chosen = take({id_: id_ for id_ in train}, splits.max_train, f"{splits.seed}/train/{number}")
        train = [id_ for id_ in train if id_ in chosen]
    if not planned.validation:
        n_validation = max(1, round(splits.validation_share * len(train)))
        chosen = take({id_: groups[id_] for id_ in train}, n_validation, f"{splits.seed}/validation/{number}")
        validation = [id_ for id_ in train if id_ in chosen]
        train = [id_ for id_ in train if id_ not in chosen]
    fold = FoldIds(train, validation, [id_ for id_ in planned.test if id_ in targets])
    if has_others:
        fold = _with_unlabelled_beside(fold, planned, targets, groups)
    absent = _absent(planned, targets)
    _check(fold, number, absent)
    unused = _size(planned) - _size(fold)
    if unused:
        limit = "" if splits.max_train is None else ", or beyond splits.max_train"
        text = "fold %d: %d of %d crystals are not used: failed, left out or no target%s%s"
        log.warning(text, number, unused, _size(planned), limit, absent)
    return fold


def _with_unlabelled_beside(
    fold: FoldIds, planned: FoldIds, targets: Mapping[str, float | None], groups: Mapping[str, str]
) -> FoldIds:
    """Adds the unlabelled crystals of the training part, but those whose group validates; the test part has none."""
    validated = {groups[id_] for id_ in fold.validation}
    unlabelled = [id_ for id_ in planned.train if id_ in targets and targets[id_] is None]
    return replace(
        fold,
        test=[id_ for id_ in fold.test if targets[id_] is not None],
        beside=[id_ for id_ in unlabelled if groups[id_] not in validated],
    )


def _require_both_classes(folds: list[FoldIds], targets: Mapping[str, float | None]) -> None:
    """Networks and classifiers learn nothing from one class, and a ROC-AUC needs both."""
    for number, fold in enumerate(folds):
        for part in ("train", "test"):
            ids = getattr(fold, part)
            found = {targets[id_] for id_ in ids} - {None}
            if len(found) == 1:
                raise UserError(
                    f"fold {number}: all {len(ids)} {part} crystals are of class {found.pop():g}, and a classification "
                    "needs both there: take more crystals, or another splits.seed"
                )


def _absent(planned: FoldIds, targets: Mapping[str, float | None]) -> str:
    """Names the first planned ids that the data set lacks, for messages."""
    ids = [id_ for part in PARTS for id_ in getattr(planned, part) if id_ not in targets]
    if not ids:
        return ""
    shown = ", ".join(ids[:3]) + (", ..." if len(ids) > 3 else "")
    return f" ({len(ids)} ids are not in the data set: {shown})"


def _size(fold: FoldIds) -> int:
    return len(fold.train) + len(fold.validation) + len(fold.test) + len(fold.beside)


def _check(fold: FoldIds, number: int, absent: str) -> None:
    seen: set[str] = set()
    for part in PARTS:
        ids = getattr(fold, part)
        if not ids:
            raise UserError(f"fold {number} has no usable {part} crystals{absent}")
        repeated = len(ids) - len(set(ids) - seen)
        if repeated:
            raise UserError(f"fold {number}: {repeated} of the {part} crystals are in it twice or in another part")
        seen.update(ids)


def _write_fold(
    folder: Path, fold: FoldIds, targets: Mapping[str, float | None], others: Mapping[str, Mapping[str, float | None]]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {part: len(getattr(fold, part)) for part in ("train", "validation", "beside")}
    train = fold.train + fold.validation + fold.beside
    parts = [part for part, size in sizes.items() for _ in range(size)]
    further = {name: pa.array([values[id_] for id_ in train], pa.float64()) for name, values in others.items()}
    tables = {
        "train": {**_columns(train, targets), "part": pa.array(parts), **further},
        "test_inputs": {"id": pa.array(fold.test, pa.string())},
        "test_targets": _columns(fold.test, targets),
    }
    for name, columns in tables.items():
        with replacing(folder / f"{name}.parquet") as path:
            pq.write_table(pa.table(columns), path)


def _columns(ids: list[str], targets: Mapping[str, float | None]) -> dict[str, pa.Array]:
    return {"id": pa.array(ids, pa.string()), "target": pa.array([targets[id_] for id_ in ids], pa.float64())}


def _counts(fold: FoldIds, planned: FoldIds, targets: Mapping[str, float | None]) -> FoldCounts:
    return FoldCounts(
        train=len(fold.train),
        validation=len(fold.validation),
        test=len(fold.test),
        test_unlabelled=sum(targets[id_] is None for id_ in fold.test),
        full_train=len(planned.train) + len(planned.validation),
        full_test=len(planned.test),
        beside=len(fold.beside),
    )


def _checksum(folds: list[FoldIds]) -> str:
    digest = hashlib.sha256()
    for number, fold in enumerate(folds):
        for part in (*PARTS, "beside"):
            for id_ in getattr(fold, part):
                digest.update(f"{number}\t{part}\t{id_}\n".encode())
    return digest.hexdigest()
