"""What is sent to W&B about a run, and under which names."""

import math
import socket
import subprocess
from pathlib import Path
from typing import Any

import sitenet
from sitenet.config.trial import Settings, flatten
from sitenet.records import Record, RunKey, RunResult
from sitenet.tasks import TASKS

TAG_LENGTH = 64  # W&B's limit


class Identity(Record):
    """Id, name, group and tags of a run in W&B."""

    id: str
    name: str
    group: str
    job_type: str
    tags: tuple[str, ...]


def run_identity(key: RunKey, kind: str, dataset: str) -> Identity:
    """Identity of a training run; a repeated or resumed run keeps it.

    Args:
        key: Benchmark, trial, fold and seed.
        kind: Model kind.
        dataset: Name of the data set.
    """
    return Identity(
        id=f"{key.benchmark}-{key.trial}-fold{key.fold}-seed{key.seed}",
        name=f"{kind} {key.trial} fold{key.fold} seed{key.seed}",
        group=key.trial,
        job_type="train",
        tags=_tags(f"data:{dataset}", f"benchmark:{key.benchmark}", f"fold:{key.fold}", kind),
    )


def benchmark_identity(benchmark: str, dataset: str) -> Identity:
    """Identity of the run for a whole benchmark."""
    return Identity(
        id=f"{benchmark}-benchmark",
        name=f"benchmark {benchmark}",
        group="benchmarks",
        job_type="benchmark",
        tags=_tags(f"data:{dataset}", f"benchmark:{benchmark}"),
    )


def _tags(*tags: str) -> tuple[str, ...]:
    return tuple(tag[:TAG_LENGTH] for tag in tags)


def key_config(key: RunKey, settings: Settings) -> dict[str, Any]:
    """Identity and hyperparameters as top-level keys without dots, which W&B's panels cannot address."""
    hyperparameters = {name.replace(".", "_"): value for name, value in flatten(settings).items()}
    return {
        "benchmark": key.benchmark,
        "trial": key.trial,
        "fold": key.fold,
        "seed": key.seed,
        **hyperparameters,
    }


def result_config(result: RunResult) -> dict[str, Any]:
    """Configuration of a finished run: hyperparameters, numbers of crystals, versions and hardware."""
    names = {"target", "unit", "n_train", "n_train_available", "n_validation", "versions", "hardware", "computed_by"}
    return key_config(result.key, result.settings) | result.model_dump(mode="json", include=names)


def summary(result: RunResult) -> dict[str, float]:
    """Scores and costs; unknown, NaN and infinite values are left out."""
    values: dict[str, float | None] = {
        f"validation_{TASKS[result.task].error.key}": result.validation_error,
        "n_parameters": result.n_parameters,
        "epochs": result.epochs,
        "training_seconds": result.cost.seconds,
        "peak_memory_mb": result.cost.peak_memory_mb,
        "restarts": result.cost.restarts,
    }
    if result.test:
        counts = {"n_scored": result.test.n_scored, "n_unlabelled": result.test.n_unlabelled}
        values |= {f"test_{name}": value for name, value in (result.test.values | counts).items()}
    return {name: value for name, value in values.items() if value is not None and math.isfinite(value)}


def origin(anonymize: bool) -> dict[str, str]:
    """Host name and commit of the code; empty if `anonymize` is set."""
    if anonymize:
        return {}
    return {"host": socket.gethostname()} | _commit(Path(sitenet.__file__).parents[1])


def _commit(checkout: Path) -> dict[str, str]:
    """Commit of the package's git checkout, marked as dirty if files differ; empty outside a checkout."""
    if not (checkout / ".git").exists():
        return {}
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=10, encoding="utf-8", errors="replace")
    return {"commit": run.stdout.strip()} if run.returncode == 0 else {}


def one_line(error: BaseException) -> str:
    """Type and message of an error as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".rstrip(": ")
