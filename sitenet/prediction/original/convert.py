"""The command `sitenet import-original`: a checkpoint of the authors of Site-Net becomes a `best.pt`."""

import re
from pathlib import Path

import torch

from sitenet import versions
from sitenet.config.trial import Trial
from sitenet.environment import package_versions
from sitenet.errors import UserError
from sitenet.files import sha256_of
from sitenet.models.base.network import Network
from sitenet.prediction.original.read import OriginalCheckpoint, read_original
from sitenet.prediction.original.settings import feature_settings, is_clamped, model_settings, read_config
from sitenet.records import RunKey
from sitenet.settings.training import TrainingSettings
from sitenet.training.checkpoint import RunDescription, save_best
from sitenet.training.state import Best

# Path of a parameter here -> its name in the original, applied in this order. A dense layer `m` here is a linear map
# and a norm there, one of a list of each.
NAMES = (
    (r"^output\.", "decoder."),
    (r"^embedding\.element\.", "Elemental_Embeddings."),
    (r"^embedding\.site\.", "encoder.site_featurization."),
    (r"^embedding\.pair\.", "encoder.interaction_featurization."),
    (r"^blocks\.", "encoder.Attention_Blocks."),
    (r"\.logit_first\.linear\.", ".ije_to_multihead.linear_layers.0."),
    (r"\.logit_first\.norm\.", ".ije_to_multihead.norm_layers.0.Norm."),
    (r"\.logit_out\.", ".pre_softmax_linear."),
    (r"\.(value|pair_update|site_update)\.linear\.", r".\1.linear_layers.0."),
    (r"\.(value|pair_update|site_update)\.norm\.", r".\1.norm_layers.0.Norm."),
    (r"\.value\.", ".ije_to_attention_features."),
    (r"\.pair_update\.", ".ije_to_Interaction_Features."),
    (r"\.site_update\.", ".global_linear."),
    (r"^pre_pool\.linear\.", "encoder.pre_pool_layers.0."),
    (r"^pre_pool\.norm\.", "encoder.pre_pool_layers_norm.0.Norm."),
    (r"^post_pool\.(\d+)\.linear\.", r"encoder.post_pool_layers.\1."),
    (r"^post_pool\.(\d+)\.norm\.", r"encoder.post_pool_layers_norm.\1."),
    (r"featurization\.linear\.", "featurization."),
    (r"featurization\.norm\.", "featurization_norm.Norm."),
)
HIDDEN = re.compile(r"\.logit_hidden\.(\d+)\.(linear|norm)\.")
# Versions of the original have layers that no prediction uses.
UNUSED = re.compile(r"^encoder\.post_pool_layers_std\.\d+\.(weight|bias)$")


def import_original(
    path: Path,
    out: Path,
    config: Path | None = None,
    max_sites: int | None = None,
    target: str = "band_gap",
    unit: str = "eV",
) -> str:
    """Writes a `best.pt` with the weights of a checkpoint of the original.

    Args:
        path: The checkpoint.
        out: File to write.
        config: The original's YAML configuration, if the checkpoint contains none.
        max_sites: Size of the supercells, if the checkpoint does not say it.
        target: Name of the target.
        unit: Its unit.

    Returns:
        What was imported, in one or more lines.

    Raises:
        UserError: The checkpoint cannot be read safely, does not fit, or `out` exists.
    """
    if out.exists():
        raise UserError(f"{out} exists; remove it, or choose another --out")
    original = read_original(path)
    where, values = (str(path), original.hyperparameters) if config is None else (str(config), read_config(config))
    if not values:
        raise UserError(f"{path} contains no hyperparameters: name the original's YAML file with --config")
    settings = model_settings(values, where)
    if config is not None and original.hyperparameters and settings != model_settings(original.hyperparameters, ""):
        raise UserError(f"{config} and the hyperparameters in {path} describe different networks")
    features = feature_settings(values | original.hyperparameters, max_sites)
    trial = Trial({"model": settings, "features": features, "training": TrainingSettings()})
    clamped = is_clamped(values, where)
    with torch.device("meta"):  # shapes alone: settings may ask for more memory than there is
        network = trial.build(clamped)
    weights = _weights(network, original, path)
    description = _describe(trial, clamped, path, target, unit)
    epoch, score = original.epoch, original.best_score
    best = None if epoch is None or score is None else Best(epoch, score, averaged=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_best(out, description, best, weights)
    return _report(out, description, original)


def _describe(trial: Trial, clamped: bool, path: Path, target: str, unit: str) -> RunDescription:
    return RunDescription(
        key=RunKey(benchmark="original", trial=trial.id, fold=0, seed=0),
        settings=trial.settings,
        target=target,
        unit=unit,
        non_negative=clamped,
        data_checksum="",
        fold_checksum="",
        mean_target=None,
        stages={"data": versions.DATA, "features": versions.FEATURES, "train": versions.TRAIN},
        packages=package_versions(),
        origin=f"imported from the original's checkpoint {sha256_of(path)}",
    )


def _report(out: Path, description: RunDescription, original: OriginalCheckpoint) -> str:
    """What was imported, and what the checkpoint says about it."""
    sites = description.trial.features.size
    n = sum(tensor.numel() for tensor in original.tensors.values())
    score = "not recorded" if original.best_score is None else f"{original.best_score:.4f} {description.unit}"
    lines = [
        f"{out}: {description.origin}",
        f"{n:,} numbers in {len(original.tensors)} tensors, features {sites}, best validation MAE {score}",
    ]
    if unused := sorted(name for name in original.tensors if UNUSED.match(name)):
        lines.append(f"left out, since no prediction uses them: {', '.join(unused)}")
    if original.ignored:
        lines.append(f"not imported, and without effect: {', '.join(original.ignored)}")
    return "\n".join(lines)


def original_name(parameter: str) -> str:
    """The original's name of a parameter of `SiteNet`."""
    name = HIDDEN.sub(_hidden, parameter)
    for pattern, replacement in NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def _hidden(match: re.Match[str]) -> str:
    """Hidden layers of the attention logits follow the first one in the same list."""
    number, part = int(match[1]) + 1, match[2]
    return f".ije_to_multihead.{part}_layers.{number}." + ("Norm." if part == "norm" else "")


def _weights(network: Network, original: OriginalCheckpoint, path: Path) -> dict[str, torch.Tensor]:
    """The network's state with every tensor of the checkpoint in its place, and none left.

    Targets were not scaled, so the mean and standard deviation of `TargetScale` are 0 and 1.

    Raises:
        UserError: A tensor is missing, unknown, or of another shape or type, or has numbers that are not finite.
    """
    # Earlier versions of the original say "bond" for the pair ij with its features.
    found = {
        name.replace(".bond_to_", ".ije_to_"): tensor
        for name, tensor in original.tensors.items()
        if not UNUSED.match(name)
    }
    if len(found) + sum(map(bool, map(UNUSED.match, original.tensors))) < len(original.tensors):
        raise UserError(f"{path} has tensors of two versions of the original: names with 'bond_to' and with 'ije_to'")
    wanted = {original_name(name): name for name, _ in network.named_parameters()}
    for problem, names in (("is missing", wanted.keys() - found), ("is not known", found.keys() - wanted.keys())):
        if names:
            others = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            raise UserError(f"{path}: the tensor '{min(names)}'{others} {problem} in this network")
    parameters = dict(network.named_parameters())
    for name, own in wanted.items():
        _check(found[name], parameters[own], f"{path}: the tensor '{name}'")
    scale = {"scale.target_mean": torch.tensor(0.0), "scale.target_std": torch.tensor(1.0)}
    return {own: found[name].detach().clone() for name, own in wanted.items()} | scale


def _check(tensor: torch.Tensor, expected: torch.Tensor, what: str) -> None:
    if tensor.shape != expected.shape:
        raise UserError(f"{what} has the shape {tuple(tensor.shape)}, where the settings give {tuple(expected.shape)}")
    if tensor.dtype != expected.dtype:
        raise UserError(f"{what} has the type {tensor.dtype}, where {expected.dtype} belongs")
    if not tensor.isfinite().all():
        raise UserError(f"{what} has numbers that are not finite")
