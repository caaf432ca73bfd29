"""Predictions for a user's own structure files: the command `sitenet predict`."""

import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from sitenet.data.containers import Folder, read_limited
from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.structures.parse import is_structure_file, parse_structure
from sitenet.errors import UserError, plain
from sitenet.features.featurize import featurize
from sitenet.features.point_set import PointSet
from sitenet.files import replacing, write_text
from sitenet.prediction.predictor import Predictor
from sitenet.settings.features import FeatureSettings

Featurized = list[tuple[Crystal, PointSet]]


class InMemory:
    """Point sets in memory, with the interface that `infer` expects."""

    def __init__(self, point_sets: Sequence[PointSet]):
        self._point_sets = point_sets
        self.ids = [point_set.id for point_set in point_sets]
        self.n_pairs = np.array([len(point_set.distances) for point_set in point_sets], dtype=np.int64)

    def __getitem__(self, index: int) -> PointSet:
        """The point set at `index`."""
        return self._point_sets[index]


def predict_files(checkpoints: Sequence[Path], paths: Iterable[Path], out: Path | None, attention: Path | None) -> None:
    """Predicts the crystals in structure files with one checkpoint, or with the mean over several.

    Args:
        checkpoints: Files `best.pt` of networks with the same target, unit and features.
        paths: Structure files, and folders to search for them; the id of a crystal is its path.
        out: CSV file for the predictions (id, prediction, unit; with several checkpoints also spread, the standard
            deviation of their predictions); None prints them.
        attention: File (.npz) for the attention weights of the first checkpoint: an array "{id}/block{k}" of shape
            (P, S, H) for each crystal and block.

    Raises:
        UserError: A checkpoint cannot be used, the network has no attention, a file cannot be written, or a
            crystal cannot be used. Such crystals are listed on stderr after the predictions of all others.
    """
    predictors = _load(checkpoints)
    valid, failures = _featurize(_structure_files(paths), predictors[0].trial.features)
    frame = _predict(predictors, InMemory([point_set for _, point_set in valid]))
    if attention is not None:
        _write_attention(attention, predictors[0], valid)
    if out is None:
        frame.to_csv(sys.stdout, index=False)
    else:
        write_text(out, frame.to_csv(index=False))
    for id_, reason in failures.items():
        print(f"{id_}: {reason}", file=sys.stderr)
    if failures:
        raise UserError(f"{len(failures)} of {len(failures) + len(valid)} crystals cannot be used")


def _load(checkpoints: Sequence[Path]) -> list[Predictor]:
    """The networks of an ensemble, which must have the same target, unit and features."""
    if len({checkpoint.resolve() for checkpoint in checkpoints}) < len(checkpoints):
        raise UserError(f"a checkpoint is given twice: {', '.join(map(str, checkpoints))}")
    predictors = [Predictor.load(checkpoint) for checkpoint in checkpoints]
    first = predictors[0]
    for checkpoint, other in zip(checkpoints[1:], predictors[1:], strict=True):
        for what, own, its in (
            ("target", first.description.target, other.description.target),
            ("unit", first.description.unit, other.description.unit),
            ("feature set", first.trial.feature_id, other.trial.feature_id),
        ):
            if own != its:
                raise UserError(
                    f"{checkpoint} has the {what} {its}, but {checkpoints[0]} has {own}: an ensemble needs the same"
                )
    return predictors


def _predict(predictors: Sequence[Predictor], point_sets: InMemory) -> pd.DataFrame:
    predictions = [predictor.predict(point_sets, np.arange(len(point_sets.ids))) for predictor in predictors]
    unit = predictors[0].description.unit
    frame = pd.DataFrame({"id": point_sets.ids, "prediction": np.mean(predictions, axis=0), "unit": unit})
    if len(predictors) > 1:
        frame["spread"] = np.std(predictions, axis=0, ddof=1)
    return frame


def _structure_files(paths: Iterable[Path]) -> dict[str, Path]:
    """Files by id; a folder without structure files is itself an entry, so that it is listed as a failure."""
    files: dict[str, Path] = {}
    for path in paths:
        found = list(_files_in(path)) if path.is_dir() else []
        files |= {_id(file): file for file in found or [path]}
    return files


def _id(file: Path) -> str:
    """The path with control characters written out.

    Spreadsheets run what begins with one of these signs; `./` before it leads to the same file.
    """
    return plain(f"./{file}" if str(file).startswith(("=", "+", "-", "@")) else str(file))


def _files_in(folder: Path) -> Iterator[Path]:
    """Structure files, and links to folders, which are listed as failures."""
    return (folder / name for name in Folder(folder).names() if is_structure_file(name) or name.endswith("/"))


def _featurize(files: dict[str, Path], settings: FeatureSettings) -> tuple[Featurized, dict[str, str]]:
    """The valid crystals with their features, and why the others cannot be used, by id."""
    valid: Featurized = []
    failures: dict[str, str] = {}
    for id_, path in files.items():
        try:
            crystal = parse_structure(id_, path.name, _content(path))
            valid.append((crystal, featurize(crystal, settings)))
        except BadCrystal as reason:
            failures[id_] = plain(" ".join(str(reason).split()))
    return valid, failures


def _content(path: Path) -> bytes:
    if path.is_dir() and path.is_symlink():
        raise BadCrystal("unreadable: a link to a folder, which is not followed: name the folder itself")
    if path.is_dir():
        raise BadCrystal("missing file: the folder contains no structure file")
    if path.exists() and not path.is_file():
        raise BadCrystal("unreadable: it is no regular file")
    try:
        with path.open("rb") as file:
            return read_limited(file, path.name)
    except FileNotFoundError:
        raise BadCrystal("missing file: no such file") from None
    except OSError as error:
        raise BadCrystal(f"unreadable: {error.strerror}") from None


def _write_attention(path: Path, predictor: Predictor, crystals: Featurized) -> None:
    """Writes the attention weights crystal by crystal, since those of many crystals would not fit in memory."""
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for crystal, point_set in crystals:
            maps = predictor.attention(crystal, point_set)
            if not maps:
                raise UserError(
                    f"--attention {path}: a network of kind '{predictor.trial.kind}' has no attention weights"
                )
            for number, weights in enumerate(maps, start=1):
                with archive.open(f"{crystal.id}/block{number}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, weights, allow_pickle=False)
