"""Checkpoints: one file of tensors and JSON, read back without executing anything stored in it.

`best.pt` holds the weights to predict with, `last.pt` all that a killed run needs to go on. Both carry a
`RunDescription`, so that a checkpoint can be used, or refused, without the files around it.
"""

import io
import json
import logging
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from pydantic import field_validator

from sitenet import __version__
from sitenet.config.trial import Trial, flatten
from sitenet.errors import UserError
from sitenet.files import write_bytes
from sitenet.records import Record, RunKey, nested_settings
from sitenet.training.state import Best, TrainingState
from sitenet.training.trainer import Trainer

logger = logging.getLogger("sitenet")

FORMAT = 1


class RunDescription(Record):
    """What a checkpoint belongs to.

    Attributes:
        key: Benchmark, trial, fold and seed.
        settings: All settings of the trial, by section and name.
        target: Name of the target.
        unit: Unit of the target.
        non_negative: Whether predictions are clamped at zero.
        data_checksum: Checksum in the data set's manifest.
        fold_checksum: Checksum of the fold's ids, targets and parts.
        mean_target: Mean target of the training crystals, the prediction where a crystal has no features.
        stages: Versions of the workflow's stages up to training.
        packages: Versions of Python and the packages that numbers depend on.
    """

    key: RunKey
    settings: dict[str, dict[str, Any]]
    target: str
    unit: str
    non_negative: bool
    data_checksum: str
    fold_checksum: str
    mean_target: float
    stages: dict[str, int]
    packages: dict[str, str]

    @property
    def trial(self) -> Trial:
        """The trial that was trained.

        Raises:
            UserError: This version of the package does not know its kind of network or one of its settings.
        """
        try:
            return Trial.from_settings(self.settings)
        except (KeyError, ValueError) as error:
            made = self.packages.get("sitenet", "unknown")
            raise UserError(f"a trial of sitenet {made} is not one of sitenet {__version__}: {error}") from None

    @field_validator("settings", mode="before")
    @classmethod
    def _nested(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Earlier checkpoints have flat settings."""
        return nested_settings(settings)


def save_best(path: Path, description: RunDescription, trainer: Trainer) -> None:
    """Writes the weights of the best epoch."""
    best = trainer.state.best
    assert best is not None
    metadata = {"description": description.model_dump(mode="json"), "best": vars(best)}
    _save(path, metadata, {"weights": trainer.best_weights})


def load_best(path: Path) -> tuple[RunDescription, Best, dict[str, torch.Tensor]]:
    """What a best checkpoint belongs to, how good it is, and its weights.

    Raises:
        UserError: The file is not a checkpoint of this format, or damaged.
    """
    metadata, tensors = _load(path)
    if "best" not in metadata:
        raise UserError(f"{path} is for resuming; predict with best.pt beside it")
    try:
        description, best = RunDescription.model_validate(metadata["description"]), Best(**metadata["best"])
        weights = tensors["weights"]
        well_formed = all(isinstance(tensor, torch.Tensor) for tensor in weights.values())
    except (KeyError, TypeError, ValueError, AttributeError):
        well_formed = False
    if not well_formed:
        raise UserError(f"{path} is not a readable checkpoint of sitenet: a part is missing or of another type")
    return description, best, weights


def save_last(path: Path, description: RunDescription, trainer: Trainer) -> None:
    """Writes all that a killed run needs to end as if it had not been killed."""
    metadata = {
        "description": description.model_dump(mode="json"),
        "progress": trainer.state.to_dict(),
        "finished": trainer.finished,
    }
    _save(path, metadata, trainer.tensors())


def restore(path: Path, description: RunDescription, trainer: Trainer) -> RunDescription:
    """Brings a new trainer to where `last.pt` was written.

    A finished run that was made from something else, such as other splits, is outdated: the trainer stays new.

    Returns:
        The description of the run, which for a finished one keeps the packages that its weights were made with.

    Raises:
        UserError: The checkpoint is unreadable, or holds unfinished work of another run, data set or version.
    """
    metadata, tensors = _load(path)
    found, wanted = _of_today(metadata["description"]), description.model_dump(mode="json")
    differing = [name for name in wanted if name != "packages" and found.get(name) != wanted[name]]
    if differing:
        name = differing[0]
        there, here = _differences(*(_flat(description.get(name)) for description in (found, wanted)))
        problem = f"{path} belongs to another run ({name}: {there} there, {here} here)"
        if not metadata["finished"]:
            raise UserError(f"{problem}; remove it to train from the start")
        logger.warning("%s; that one is finished, this one starts anew", problem)
        return description
    trainer.restore(TrainingState.from_dict(metadata["progress"]), tensors)
    if not trainer.finished:
        return description
    return description.model_copy(update={"packages": found["packages"]})


def _of_today(found: dict[str, Any]) -> dict[str, Any]:
    """A stored description in today's form, with the settings that have come since at their defaults."""
    try:
        description = RunDescription.model_validate(found)
        return description.model_copy(update={"settings": description.trial.settings}).model_dump(mode="json")
    except (UserError, ValueError):
        return found


def _flat(value: Any) -> Any:
    """Settings by dotted names; whatever else as it is."""
    nested = isinstance(value, dict) and all(isinstance(section, dict) for section in value.values())
    return flatten(value) if nested else value


def _differences(there: Any, here: Any) -> tuple[Any, Any]:
    """Two values without what they have in common, if they are dictionaries."""
    if not (isinstance(there, dict) and isinstance(here, dict)):
        return there, here
    keys = [key for key in there | here if there.get(key) != here.get(key)]
    return {key: there.get(key) for key in keys}, {key: here.get(key) for key in keys}


def _save(path: Path, metadata: dict[str, Any], tensors: dict[str, Any]) -> None:
    buffer = io.BytesIO()
    torch.save({"metadata": json.dumps(metadata | {"format": FORMAT}, allow_nan=False), **tensors}, buffer)
    write_bytes(path, buffer.getvalue())


def _load(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        _check_members(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        metadata = dict(json.loads(content.pop("metadata")))
    except FileNotFoundError:
        raise UserError(f"there is no checkpoint {path}") from None
    except (
        TypeError,
        zipfile.BadZipFile,
        OSError,
        EOFError,
        RuntimeError,
        pickle.UnpicklingError,
        KeyError,
        AttributeError,
        ValueError,
    ) as error:
        raise UserError(f"{path} is not a readable checkpoint of sitenet") from error
    if metadata.get("format") != FORMAT:
        raise UserError(f"{path} has checkpoint format {metadata.get('format')}; this version reads format {FORMAT}")
    return metadata, content


def _check_members(path: Path) -> None:
    """Compares every member of the checkpoint, a zip archive, with its CRC-32; torch does not."""
    with zipfile.ZipFile(path) as archive:
        if (damaged := archive.testzip()) is not None:
            raise UserError(f"{path} is damaged: the checksum of its part {damaged} is wrong")
