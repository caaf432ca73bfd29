"""Settings of a trial from the configuration of the original implementation."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sitenet.errors import UserError
from sitenet.models.sitenet.settings import SiteNetSettings
from sitenet.settings.features import FeatureSettings
from sitenet.settings.problems import validate

# The pair features of this network, in the only form that it has.
PAIR_FEATURES = [
    {"name": "distance_matrix", "kwargs": {"polynomial_degree": 1}},
    {"name": "non_sine_coulomb_matrix", "kwargs": {"polynomial_degree": 1, "log": True, "max_clip": 10}},
]
CLAMPED = {"TReLU": True, "relu": True, "identity": False}  # by activation function of the output
DATA_FILE = re.compile(r"_cubic_(\d+)_|_(primitive)_")  # how the authors name their data files


def read_config(path: Path) -> dict[str, Any]:
    """A YAML configuration of the original.

    Raises:
        UserError: The file is unreadable or not a mapping.
    """
    try:
        config = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise UserError(f"{path} is not a YAML file") from None
    if not isinstance(config, dict):
        raise UserError(f"{path} is not a configuration of the original: it has no keys")
    return config


def model_settings(config: Mapping[str, Any], where: str) -> SiteNetSettings:
    """The hyperparameters of the network.

    Args:
        config: Keys of the original's configuration.
        where: Where they come from, for messages.

    Raises:
        UserError: A key is missing, or asks for something that this network does not have.
    """
    original = _Keys(config, where)
    original.require("Interaction_Features", PAIR_FEATURES)
    original.require("interaction_feature_size", len(PAIR_FEATURES))
    normalised = original.choice("set_norm", {"layer": True, "none": False})
    original.require("lin_norm", config["set_norm"])
    pooled = original.get("pre_pool_layers")
    if not isinstance(pooled, list) or len(pooled) != 1:
        raise original.unsupported("pre_pool_layers", "a list of one width")
    cutoff, top_k = original.number("distance_cutoff", -1), original.number("k_softmax", -1)
    values = {
        "blocks": original.get("attention_blocks"),
        "heads": original.get("attention_heads"),
        "site_width_per_head": original.get("site_dim_per_head"),
        "pair_width_per_head": original.get("attention_dim_interaction"),
        "value_width": original.get("site_dim_per_head"),
        "embedding_width": original.get("embedding_size"),
        "attention_hidden": original.get("attention_hidden_layers"),
        "pooled_width": pooled[0],
        "head_hidden": original.get("post_pool_layers"),
        "activation": original.choice("activation_function", {"mish": "mish", "relu": "relu"}),
        "normalisation": normalised,
        "elemental_properties": _properties(original),
        "pooling": original.choice("sym_func", {"mean": "mean", "max": "max"}),
        "cutoff": cutoff if cutoff >= 0 else None,
        "top_k": top_k if top_k != -1 else None,
    }
    return validate(SiteNetSettings, values, where)


def is_clamped(config: Mapping[str, Any], where: str) -> bool:
    """Whether predictions are clamped at zero.

    Raises:
        UserError: The output has another activation function.
    """
    return bool(_Keys(config, where).choice("last_af_func", CLAMPED))


def feature_settings(config: Mapping[str, Any], max_sites: int | None) -> FeatureSettings:
    """The supercell: of `max_sites` sites if given, otherwise as the name of the original's data file says.

    Raises:
        UserError: Neither says it.
    """
    found = DATA_FILE.search(str(config.get("h5_file", "")))
    if max_sites is not None:
        return validate(FeatureSettings, {"max_sites": max_sites}, "--max-sites")
    if found is None:
        raise UserError("the checkpoint does not say how large its supercells are: add --max-sites, such as 100")
    if found[2]:
        return FeatureSettings(supercell=False)
    return validate(FeatureSettings, {"max_sites": found[1]}, "h5_file")


def _properties(original: "_Keys") -> Any:
    sites = original.get("Site_Features")
    first = sites[0] if isinstance(sites, list) and len(sites) == 1 else None
    if not isinstance(first, dict) or first.get("name") != "SiteElementalProperty":
        raise original.unsupported("Site_Features", "one SiteElementalProperty")
    arguments = first.get("Featurizer_KArgs")
    return arguments.get("properties") if isinstance(arguments, dict) else None


class _Keys:
    """A configuration of the original with messages for keys that are missing or unsupported."""

    def __init__(self, config: Mapping[str, Any], where: str):
        self._config, self._where = config, where

    def get(self, key: str) -> Any:
        if key not in self._config:
            raise UserError(f"{self._where}: the key '{key}' is missing")
        return self._config[key]

    def require(self, key: str, value: object) -> None:
        if self.get(key) != value:
            raise self.unsupported(key, repr(value))

    def choice(self, key: str, values: Mapping[str, Any]) -> Any:
        value = self.get(key)
        if not isinstance(value, str) or value not in values:
            raise self.unsupported(key, " or ".join(values))
        return values[value]

    def number(self, key: str, default: float) -> float:
        value = self._config.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            raise self.unsupported(key, "a number")
        return value

    def unsupported(self, key: str, valid: str) -> UserError:
        value = " ".join(repr(self._config[key]).split())[:200]
        return UserError(f"{self._where}: the key '{key}' has the value {value}; supported is {valid}")
