"""The device that the scheduler gave a job."""

import os
from collections.abc import Mapping, MutableMapping
from typing import Any

from sitenet.training.device import DeviceName


def allotted_device(resources: Mapping[str, Any], environment: MutableMapping[str, str] = os.environ) -> DeviceName:
    """The device that a job asked for, with this process pinned to the GPUs that it got.

    A job without a GPU computes on the CPU even where it sees one, which then is another job's. SLURM sets
    CUDA_VISIBLE_DEVICES on most clusters; where it only tells the indices, they are set here, before CUDA starts.

    Args:
        resources: Resources of the Snakemake job: `gpu`, a count, or `gres`, SLURM's "gpu:a100:1" for example.
        environment: Environment of the process.
    """
    if not resources.get("gpu") and not str(resources.get("gres", "")).startswith(("gpu", "shard", "mps")):
        return "cpu"
    given = environment.get("SLURM_STEP_GPUS") or environment.get("SLURM_JOB_GPUS")
    if given:
        environment.setdefault("CUDA_VISIBLE_DEVICES", given)
    return "cuda"
