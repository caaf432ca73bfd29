"""Which networks a model is: the name of one that comes with the package, checkpoints, or a folder of seeds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sitenet.errors import UserError
from sitenet.prediction.card import CARD, DEFAULT, PretrainedModel, pretrained_model, pretrained_names
from sitenet.settings.problems import unknown

ModelName = str | Path | Sequence[str | Path]
CHECKPOINT = "best.pt"


@dataclass(frozen=True)
class Networks:
    """Files of networks whose predictions are averaged.

    Attributes:
        name: What the user called them.
        files: Their checkpoints.
        pretrained: The model they are, with its card and what else is in its folder; None for other checkpoints.
    """

    name: str
    files: tuple[Path, ...]
    pretrained: PretrainedModel | None = field(default=None, compare=False)


def find_networks(model: ModelName = DEFAULT) -> Networks:
    """The networks that a user names.

    Args:
        model: Name of a model that comes with the package, a checkpoint, a folder of seeds, or several of these. A
            folder of seeds holds `best.pt` itself or in its subfolders, `seed0/best.pt` for example; or it is one of a
            model with its card.

    Raises:
        UserError: There is nothing of this name, a folder holds no network, or a network is named twice.
    """
    names = [model] if isinstance(model, str | Path) else list(model)
    if not names:
        raise UserError("name a model: " + ", ".join(pretrained_names()))
    found = [_find(name) for name in names]
    if len(found) == 1:
        return found[0]
    files = tuple(file for networks in found for file in networks.files)
    if len({file.resolve() for file in files}) < len(files):
        raise UserError(f"a checkpoint is given twice: {', '.join(map(str, files))}")
    return Networks(", ".join(networks.name for networks in found), files)


def _find(name: str | Path) -> Networks:
    if str(name) in pretrained_names():
        return _of_pretrained(pretrained_model(str(name)))
    path = Path(name)
    if path.is_dir():
        if (path / CARD).exists():
            return _of_pretrained(PretrainedModel(path.resolve()))
        files = sorted([*path.glob(CHECKPOINT), *path.glob(f"*/{CHECKPOINT}")])
        if not files:
            raise UserError(f"{path} holds no {CHECKPOINT}, nor do its subfolders: name a folder of seeds")
        return Networks(str(name), tuple(files))
    if path.exists() or path.suffix or len(path.parts) > 1:
        return Networks(str(name), (path,))
    raise UserError(f"{unknown('model', name, pretrained_names())}, and there is no such file")


def _of_pretrained(model: PretrainedModel) -> Networks:
    return Networks(model.name, tuple(model.networks), model)
