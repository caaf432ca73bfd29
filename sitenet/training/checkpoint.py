"""Checkpoints: one file of tensors and JSON, read back without executing anything stored in it.

`best.pt` holds the weights to predict with, `last.pt` everything that a killed run needs to resume. Both contain a
`RunDescription`, so that a checkpoint can be checked and used without any other file.
"""

import io
import json
import logging
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError, field_validator

from sitenet import __version__
from sitenet.config.trial import Trial, flatten
from sitenet.errors import UserError
from sitenet.files import write_bytes
from sitenet.records import Record, RunKey, nested_settings
from sitenet.settings.problems import in_short
from sitenet.tasks import TaskName
from sitenet.training.state import Best, TrainingState
from sitenet.training.trainer import Trainer

logger = logging.getLogger("sitenet")

FORMAT = 1


class RunDescription(Record):
    """The run that a checkpoint belongs to.

    Attributes:
        key: Benchmark, trial, fold and seed.
        settings: All settings of the trial, by section and name.
        target: Name of the target.
        unit: Unit of the target.
        non_negative: Whether predictions are clamped at zero.
        task: What is predicted, a number or a class.
        data_checksum: Checksum in the data set's manifest.
        fold_checksum: Checksum of the fold's ids, targets and parts.
        mean_target: Mean target of the training crystals, predicted for crystals without features; None if unknown.
        stages: Versions of the workflow stages up to training.
        packages: Versions of Python and of the packages that influence results.
        computed_by: What computed the work on pairs, the latest last; see `RunResult`.
        origin: Where the weights come from if they were not trained here from the beginning, otherwise empty.
    """

    key: RunKey
    settings: dict[str, dict[str, Any]]
    target: str
    unit: str
    non_negative: bool
    task: TaskName = "regression"
    data_checksum: str
    fold_checksum: str
    mean_target: float | None
    stages: dict[str, int]
    packages: dict[str, str]
    computed_by: tuple[str, ...] = ()
    origin: str = ""

    @property
    def trial(self) -> Trial:
        """The trial that was trained.

        Raises:
            UserError: This version of sitenet does not know the model kind or one of the settings.
        """
        try:
            return Trial.from_settings(self.settings)
        except (KeyError, ValueError) as error:
            trained = self.packages.get("sitenet", "(unknown version)")
            reason = in_short(error) if isinstance(error, ValidationError) else " ".join(str(error).split())
            raise UserError(
                f"settings stored by sitenet {trained} are not valid in sitenet {__version__}: {reason}"
            ) from None

    @field_validator("settings", mode="before")
    @classmethod
    def _nested(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Converts the flat settings of earlier checkpoints."""
        return nested_settings(settings)


def save_best(path: Path, description: RunDescription, best: Best | None, weights: dict[str, torch.Tensor]) -> None:
    """Writes the weights of the best epoch; None is an epoch of which nothing is known."""
    metadata = {"description": description.model_dump(mode="json"), "best": vars(best) if best else None}
    # On the CPU, so that whoever reads the file needs no GPU.
    _save(path, metadata, {"weights": {name: weight.cpu() for name, weight in weights.items()}})


def load_best(path: Path) -> tuple[RunDescription, Best | None, dict[str, torch.Tensor]]:
    """Description of the run in a `best.pt`, its best epoch if it is known, and its weights.

    Raises:
        UserError: The file is not a checkpoint of this format, or damaged.
    """
    metadata, tensors = _load(path)
    if "best" not in metadata:
        raise UserError(f"{path} is for resuming a training; predict with best.pt in the same folder")
    try:
        description = RunDescription.model_validate(metadata["description"])
        best = None if metadata["best"] is None else Best.from_dict(metadata["best"])
        weights = tensors["weights"]
        well_formed = all(isinstance(tensor, torch.Tensor) for tensor in weights.values())
    except (KeyError, TypeError, ValueError, AttributeError):
        well_formed = False
    if not well_formed:
        raise UserError(f"{path} is not a readable checkpoint of sitenet: a part is missing or of another type")
    return description, best, weights


def save_last(path: Path, description: RunDescription, trainer: Trainer, is_done: bool) -> None:
    """Writes everything that a run needs to resume and end with the same result.

    Args:
        path: The file.
        description: Description of the run.
        trainer: Its state.
        is_done: Whether training has ended, or a search has stopped it.
    """
    tensors = trainer.tensors()  # brings the state up to date
    metadata = {
        "description": description.model_dump(mode="json"),
        "progress": trainer.state.to_dict(),
        "finished": is_done,
    }
    _save(path, metadata, tensors)


def restore(path: Path, description: RunDescription, trainer: Trainer) -> RunDescription:
    """Loads the state in `last.pt` into a new trainer.

    A run that is done and has another description, of other splits for example, is outdated: the trainer stays as it
    is. A run that goes on with other kernels than before, or with torch in their place, says so in a warning.

    Returns:
        The description of the run. For a finished run it has the versions of the packages that made its weights, and
        for any run what has computed it.

    Raises:
        UserError: The checkpoint is unreadable, or belongs to an unfinished run with another description.
    """
    metadata, tensors = _load(path)
    found, wanted = _upgraded(metadata["description"]), description.model_dump(mode="json")
    compared = [name for name in wanted if name not in ("packages", "computed_by")]
    differing = [name for name in compared if found.get(name) != wanted[name]]
    if differing:
        name = differing[0]
        old, new = _differences(_flat(found.get(name)), _flat(wanted[name]))
        problem = f"{path} belongs to another run ({name}: {old} in the file, {new} in this run)"
        if not metadata["finished"]:
            raise UserError(f"{problem}; remove the file to train from the start")
        logger.warning("%s; that run is finished, so this one starts from scratch", problem)
        return description
    trainer.restore(TrainingState.from_dict(metadata["progress"]), tensors)
    before, now = tuple(found.get("computed_by", ())), description.computed_by
    if trainer.finished:
        return description.model_copy(update={"packages": found["packages"], "computed_by": before})
    if before and now and before[-1] != now[0]:
        logger.warning("%s was computed by %s and goes on with %s, which rounds differently", path, before[-1], now[0])
    return description.model_copy(update={"computed_by": (*(one for one in before if one not in now), *now)})


def _upgraded(found: dict[str, Any]) -> dict[str, Any]:
    """A stored description in the current format; settings added since then have their defaults."""
    try:
        description = RunDescription.model_validate(found)
        return description.model_copy(update={"settings": description.trial.settings}).model_dump(mode="json")
    except (UserError, ValueError):
        return found


def _flat(value: Any) -> Any:
    """Settings with dotted names; any other value unchanged."""
    nested = isinstance(value, dict) and all(isinstance(section, dict) for section in value.values())
    return flatten(value) if nested else value


def _differences(old: Any, new: Any) -> tuple[Any, Any]:
    """The entries in which two dictionaries differ; other values unchanged."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return old, new
    keys = [key for key in old | new if old.get(key) != new.get(key)]
    return {key: old.get(key) for key in keys}, {key: new.get(key) for key in keys}


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
