"""A checkpoint in the layout of the original's: names of its layers, its configuration, and what Lightning writes."""

import collections
from typing import Any

import torch

from tests.reference.values import arrays

# The original's names, written out: block layers and the others, by the reference's names.
BLOCK = {
    "logit_hidden": "ije_to_multihead.linear_layers.0",
    "logit_norm": "ije_to_multihead.norm_layers.0.Norm",
    "logit_out": "pre_softmax_linear",
    "value": "ije_to_attention_features.linear_layers.0",
    "value_norm": "ije_to_attention_features.norm_layers.0.Norm",
    "pair_update": "ije_to_Interaction_Features.linear_layers.0",
    "pair_update_norm": "ije_to_Interaction_Features.norm_layers.0.Norm",
    "site_update": "global_linear.linear_layers.0",
    "site_update_norm": "global_linear.norm_layers.0.Norm",
}
OTHERS = {
    "element_embedding": "Elemental_Embeddings",
    "site_embed": "encoder.site_featurization",
    "site_embed_norm": "encoder.site_featurization_norm.Norm",
    "pair_embed": "encoder.interaction_featurization",
    "pair_embed_norm": "encoder.interaction_featurization_norm.Norm",
    "pre_pool": "encoder.pre_pool_layers.0",
    "pre_pool_norm": "encoder.pre_pool_layers_norm.0.Norm",
    **{f"post_pool.{i}": f"encoder.post_pool_layers.{i}" for i in range(3)},
    **{f"post_pool_norm.{i}": f"encoder.post_pool_layers_norm.{i}" for i in range(3)},
    "output": "decoder",
}
LAYERS = OTHERS | {
    f"blocks.{i}.{own}": f"encoder.Attention_Blocks.{i}.{name}" for i in (0, 1) for own, name in BLOCK.items()
}
FIRST_BLOCK = "encoder.Attention_Blocks.0"
PROPERTIES = [
    *("Number", "AtomicWeight", "Row", "Column"),
    *("FirstIonizationEnergy", "Electronegativity", "AtomicRadius", "Density"),
]
CONFIG: dict[str, Any] = {
    "label": "PaperParams",
    "h5_file": "Data/Matbench/matbench_mp_gap_cubic_50_train_1.hdf5",
    "interaction_feature_size": 2,
    "Interaction_Features": [
        {"kwargs": {"polynomial_degree": 1}, "name": "distance_matrix"},
        {"kwargs": {"polynomial_degree": 1, "log": True, "max_clip": 10}, "name": "non_sine_coulomb_matrix"},
    ],
    "site_feature_size": 8,
    "embedding_size": 92,
    "Site_Features": [
        {"Featurizer_KArgs": {"properties": PROPERTIES}, "Featurizer_PArgs": [], "name": "SiteElementalProperty"}
    ],
    "activation_function": "mish",
    "set_norm": "layer",
    "lin_norm": "layer",
    "site_dim_per_head": 30,
    "attention_dim_interaction": 16,
    "attention_heads": 3,
    "attention_blocks": 2,
    "distance_cutoff": -1,
    "attention_hidden_layers": [225],
    "k_softmax": -1,
    "pre_pool_layers": [94],
    "sym_func": "mean",
    "post_pool_layers": [200, 200, 200],
    "last_af_func": "identity",
}


def state_dict() -> dict[str, torch.Tensor]:
    parts = {name: name.rpartition(".") for name in arrays("weights")}
    return {f"{LAYERS[layer]}.{kind}": torch.tensor(arrays("weights")[n]) for n, (layer, _, kind) in parts.items()}


def content(**changes: Any) -> dict[str, Any]:
    """A checkpoint as Lightning 1.5 writes it."""
    score = {"monitor": "avg_val_loss", "best_model_score": torch.tensor(0.2345), "best_k_models": {}}
    whole = {
        "epoch": 41,
        "global_step": 9000,
        "pytorch-lightning_version": "1.5.7",
        "state_dict": collections.OrderedDict(state_dict()),
        "callbacks": {"ModelCheckpoint{'monitor': 'avg_val_loss'}": score},
        "optimizer_states": [{"state": {0: {"step": 9000, "exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 8e-4}]}],
        "lr_schedulers": [],
        "hparams_name": "config",
        "hyper_parameters": dict(CONFIG),
    }
    return whole | changes
