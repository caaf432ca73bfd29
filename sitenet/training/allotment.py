"""What a job was allotted; light to import, for jobs that do not train themselves."""

import os
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

DeviceName = Literal["auto", "cpu", "cuda"]


def allotted_device(resources: Mapping[str, Any], environment: MutableMapping[str, str] = os.environ) -> DeviceName:
    """The device that a job requested; restricts this process to the GPUs that the job was allotted.

    A job that requested no GPU uses the CPU, even if it sees a GPU: that one belongs to another job. SLURM sets
    CUDA_VISIBLE_DEVICES on most clusters. Elsewhere it is set here from SLURM's list of GPUs, before CUDA starts.

    Args:
        resources: Resources of the Snakemake job: a count `gpu`, or SLURM's `gres`, for example "gpu:a100:1".
        environment: Environment of the process.
    """
    if not resources.get("gpu") and not str(resources.get("gres", "")).startswith(("gpu", "shard", "mps")):
        return "cpu"
    given = environment.get("SLURM_STEP_GPUS") or environment.get("SLURM_JOB_GPUS")
    if given:
        environment.setdefault("CUDA_VISIBLE_DEVICES", given)
    return "cuda"
