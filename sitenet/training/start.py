"""Fine-tuning: a training begins with the weights of another one."""

import logging
from pathlib import Path

from sitenet.config.trial import Trial, flatten
from sitenet.errors import UserError
from sitenet.files import sha256_of
from sitenet.models.base.network import Network
from sitenet.training.checkpoint import load_best

logger = logging.getLogger("sitenet")
SCALE = "scale."  # the scale of the target is that of the new training crystals


def start_from(path: Path, trial: Trial, model: Network) -> str:
    """Gives a new network the weights of a checkpoint, and freezes what the trial does not train.

    Args:
        path: A `best.pt`.
        trial: The trial to be trained.
        model: Its network.

    Returns:
        Where the weights come from: the file with its checksum, and what it was trained on.

    Raises:
        UserError: The file is not a checkpoint, or of a network with other settings or features.
    """
    description, _, weights = load_best(path)
    _check_same(path, description.trial, trial)
    body = {name: tensor for name, tensor in weights.items() if not name.startswith(SCALE)}
    model.load_state_dict(model.state_dict() | body)
    key, name = description.key, str(trial.training.start_from)
    if Path(name) != path:  # a model of the package, wherever that is installed
        name = f"{name}/{path.name}"
    origin = (
        f"{name}, SHA-256 {sha256_of(path)}, trained for {description.target} on fold {key.fold} of {key.benchmark} "
        f"with seed {key.seed}"
    )
    if trial.training.trained == "readout":
        _freeze_sites(model, trial)
    logger.info(
        "starts from %s; trains %s", origin, "all weights" if trial.training.trained == "all" else "the read-out"
    )
    return f"fine-tuned from {origin}"


def _check_same(path: Path, source: Trial, trial: Trial) -> None:
    old, new = (flatten({name: own.settings[name] for name in ("model", "features")}) for own in (source, trial))
    for name in old | new:
        if old.get(name) != new.get(name):
            raise UserError(
                f"training.start_from: {path} was trained with {name} = {old.get(name)}, and this trial has "
                f"{new.get(name)}: the settings of network and features must be the same"
            )


def _freeze_sites(model: Network, trial: Trial) -> None:
    layers = model.readout()
    if not layers:
        raise UserError(
            f"training.trained: networks of the kind {trial.kind} do not say which layers are their read-out"
        )
    model.requires_grad_(False)
    for layer in layers:
        layer.requires_grad_(True)
