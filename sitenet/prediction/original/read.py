"""Reads a checkpoint of PyTorch Lightning, a pickle, without executing anything stored in it."""

import math
import pickle
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from sitenet.errors import UserError, plain

# Lightning's dictionary of hyperparameters is read as an ordinary one.
DICTIONARIES = ("pytorch_lightning.utilities.parsing.AttributeDict",)


class Inert:
    """Stands for a class or function that a checkpoint names: nothing is imported, called or restored."""

    def __new__(cls, *_: object, **__: object) -> "Inert":
        """An object without content."""
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object):
        pass

    def __setstate__(self, _: object) -> None:
        """Ignores the content."""


@dataclass(frozen=True)
class OriginalCheckpoint:
    """What is read of a checkpoint.

    Attributes:
        tensors: The network's tensors by name.
        hyperparameters: Keys of the original's configuration; empty if the checkpoint has none.
        epoch: Number of finished epochs; None if it is not recorded.
        best_score: Lowest validation MAE that Lightning's ModelCheckpoint recorded; None if there is none.
        ignored: Names of classes and functions that were not imported, sorted.
    """

    tensors: dict[str, torch.Tensor]
    hyperparameters: dict[str, Any]
    epoch: int | None
    best_score: float | None
    ignored: tuple[str, ...]


def read_original(path: Path) -> OriginalCheckpoint:
    """Reads a checkpoint with torch's restricted unpickler.

    Names that this unpickler does not know become `Inert` objects, which Lightning's callbacks may well leave behind.
    Modules that it blocks, such as `os`, make it refuse the file.

    Raises:
        UserError: The file is missing, damaged, has no weights, or cannot be read without executing code.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if (damaged := archive.testzip()) is not None:
                raise UserError(f"{path} is damaged: the checksum of its part {damaged} is wrong")
        names = sorted(set(get_unsafe_globals_in_checkpoint(path)))
        with safe_globals([(_stand_in(name), name) for name in names]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"there is no checkpoint {path}") from None
    except zipfile.BadZipFile:
        raise UserError(f"{path} is truncated, or not a checkpoint that torch 1.6 or newer wrote") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    except pickle.UnpicklingError as error:
        raise UserError(f"{path} is refused, since reading it could execute code: {_reason(error)}") from None
    except Exception as error:  # a damaged pickle can raise anything
        raise UserError(f"{path} is not a readable checkpoint of PyTorch Lightning: {_reason(error)}") from None
    tensors = _tensors(path, content)
    given, epoch = content.get("hyper_parameters"), content.get("epoch")
    return OriginalCheckpoint(
        tensors,
        hyperparameters=dict(given) if isinstance(given, dict) else {},
        epoch=epoch + 1 if isinstance(epoch, int) else None,  # Lightning counts from 0
        best_score=_best_score(content.get("callbacks")),
        ignored=tuple(name for name in names if name not in DICTIONARIES),
    )


def _stand_in(name: str) -> type:
    """A class of its own for each name, since classes may be keys of a dictionary."""
    return OrderedDict if name in DICTIONARIES else type("Inert", (Inert,), {})


def _reason(error: Exception) -> str:
    """The sentence of a message of several lines that says what is wrong, without advice to allow it."""
    text = " ".join(plain(str(error)).split())
    text = text.rpartition("WeightsUnpickler error: ")[2].partition(" Please ")[0]
    return text[:200].rstrip(". ") or type(error).__name__


def _tensors(path: Path, content: Any) -> dict[str, torch.Tensor]:
    found = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(found, dict) or not found:
        raise UserError(f"{path} is not a checkpoint of PyTorch Lightning: it has no 'state_dict'")
    for name, tensor in found.items():
        usual = isinstance(tensor, torch.Tensor) and tensor.layout is torch.strided and tensor.device.type == "cpu"
        if not isinstance(name, str) or not usual:
            raise UserError(f"{path}: the entry '{plain(str(name))}' of 'state_dict' is not a tensor of numbers")
    return dict(found)


def _best_score(callbacks: Any) -> float | None:
    """The lowest recorded score of any ModelCheckpoint."""
    states = callbacks.values() if isinstance(callbacks, dict) else ()
    scores = [state.get("best_model_score") for state in states if isinstance(state, dict)]
    scalars = [score.item() if isinstance(score, torch.Tensor) and score.numel() == 1 else score for score in scores]
    return min((score for score in scalars if isinstance(score, float) and math.isfinite(score)), default=None)
