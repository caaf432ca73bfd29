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


def start_from(path: Path, trial: Trial, target: str, model: Network) -> str:
    """Gives a new network the weights of a checkpoint, and freezes what the trial does not train.

    The read-out keeps its random weights where the checkpoint has another target, or another task: that of another
    property is a worse beginning than none.

    Args:
        path: A `best.pt`.
        trial: The trial to be trained.
        target: Name of its target.
        model: Its network.

    Returns:
        Where the weights come from: the file with its checksum, and what it was trained on.

    Raises:
        UserError: The file is not a checkpoint, of a network with other settings or features, or of another scale.
    """
    description, _, weights = load_best(path)
    _check_same(path, description.trial, trial)
    same = description.target == target and description.task == model.scale.task.name
    if same:
        _check_scale(path, description.trial, trial)
    anew = () if same else _readout(model)
    kept = {name: w for name, w in weights.items() if not name.startswith(SCALE) and name not in anew}
    model.load_state_dict(model.state_dict() | kept)
    key, name = description.key, str(trial.training.start_from)
    if Path(name) != path:  # a model of the package, wherever that is installed
        name = f"{name}/{path.name}"
    origin = (
        f"{name}, SHA-256 {sha256_of(path)}, trained for {description.target} on fold {key.fold} of {key.benchmark} "
        f"with seed {key.seed}" + (", with a new read-out" if anew else "")
    )
    if trial.training.trained == "readout":
        _freeze_sites(model, trial)
    trained = "all weights" if trial.training.trained == "all" else "the read-out"
    logger.info("starts from %s; trains %s", origin, trained)
    return f"fine-tuned from {origin}"


def _readout(model: Network) -> set[str]:
    """Names of the weights behind the pooling of sites."""
    own = {id(weight) for layer in model.readout() for weight in layer.parameters()}
    return {name for name, weight in model.named_parameters() if id(weight) in own}


def _check_same(path: Path, source: Trial, trial: Trial) -> None:
    old, new = (flatten({name: own.settings[name] for name in ("model", "features")}) for own in (source, trial))
    for name in old | new:
        if old.get(name) != new.get(name):
            raise UserError(
                f"training.start_from: {path} was trained with {name} = {old.get(name)}, and this trial has "
                f"{new.get(name)}: the settings of network and features must be the same"
            )


def _check_scale(path: Path, source: Trial, trial: Trial) -> None:
    """The read-out that is kept gives numbers of the scale that it has learnt."""
    old, new = source.training.standardise_target, trial.training.standardise_target
    if old != new:
        raise UserError(
            f"training.start_from: {path} was trained with training.standardise_target = {str(old).lower()}, and this "
            f"trial has {str(new).lower()}: for the same target they must be the same"
        )


def _freeze_sites(model: Network, trial: Trial) -> None:
    trained = _readout(model)
    if not trained:
        raise UserError(
            f"training.trained: networks of the kind {trial.kind} do not say which layers are their read-out"
        )
    for name, weight in model.named_parameters():
        weight.requires_grad_(name in trained)
