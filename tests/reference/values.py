"""What the independent reference implementation of Site-Net gives; its weights are loaded strictly and by name."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sitenet.models.sitenet.network import SiteNet
from sitenet.models.sitenet.settings import SiteNetSettings

FOLDER = Path(__file__).parent


@cache
def cases() -> list[dict[str, Any]]:
    """The 28 cases of `cases.json`."""
    return json.loads((FOLDER / "cases.json").read_text())


# Our module path -> name of the reference. A dense layer `m` here is the pair `m` (linear), `m_norm` there,
# for example blocks.0.value.norm.bias -> blocks.0.value_norm.bias.
_PATHS = (
    (r"^embedding\.element\.", "element_embedding."),
    (r"^embedding\.(site|pair)\.", r"\1_embed."),
    (r"\.logit_first\.linear\.", ".logit_hidden."),
    (r"\.logit_first\.norm\.", ".logit_norm."),
    (r"\.linear\.", "."),
    (r"^post_pool\.(\d+)\.norm\.", r"post_pool_norm.\1."),
    (r"\.norm\.", "_norm."),
)


@cache
def arrays(name: str) -> dict[str, np.ndarray]:
    """The arrays of one of the reference's files."""
    with np.load(FOLDER / f"{name}.npz") as file:
        return dict(file)


def reference_network(dtype: torch.dtype) -> SiteNet:
    """Site-Net with the paper's hyperparameters and the reference's weights."""
    model = SiteNet(SiteNetSettings()).to(dtype)
    load_reference_weights(model, arrays("weights"))
    return model


def reference_name(parameter: str) -> str:
    """The reference's name of one of our parameters.

    Only the paper's architecture has reference weights: one hidden attention layer, learnt element input.
    """
    name = parameter
    for pattern, replacement in _PATHS:
        name = re.sub(pattern, replacement, name)
    return name


def load_reference_weights(model: SiteNet, arrays: Mapping[str, np.ndarray]) -> None:
    """Copies every array into the parameter of the same meaning.

    Raises:
        ValueError: An array is missing, belongs to no parameter, or has another shape; names it.
    """
    parameters = {reference_name(name): parameter for name, parameter in model.named_parameters()}
    missing, extra = sorted(parameters.keys() - arrays.keys()), sorted(arrays.keys() - parameters.keys())
    if missing or extra:
        raise ValueError(f"reference weights do not fit this network: missing {missing}, unknown {extra}")
    for name, parameter in parameters.items():
        if arrays[name].shape != tuple(parameter.shape):
            expected, found = tuple(parameter.shape), arrays[name].shape
            raise ValueError(f"reference array {name} has shape {found}, the network expects {expected}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(torch.from_numpy(arrays[name]))
