"""Runs a command that trains and predicts in an environment of its own, and reads what it leaves.

docs/external.md is the contract. The command gets a folder for one trial, fold and seed. Targets of test crystals are
nowhere in it.
"""

import contextlib
import hashlib
import json
import logging
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

from sitenet.data.manifest import EXPORTED_PARTS as PARTS
from sitenet.errors import UserError
from sitenet.evaluation.statistics.metrics import error_of
from sitenet.files import sha256_of, write_bytes, write_text
from sitenet.models.external.settings import ExternalSettings, digest
from sitenet.models.predictions.files import Wanted, read_predictions
from sitenet.tasks import TASKS, TaskName
from sitenet.training.isolation import isolated

log = logging.getLogger("sitenet")
PREDICTIONS = "predictions.csv"
SAMPLE_SECONDS, SAVE_SECONDS = 0.2, 5.0
# What belongs to this program's Python, not to the command's.
OWN_VARIABLES = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "MPLBACKEND")


@dataclass(frozen=True)
class ExternalJob:
    """One run of a command.

    Attributes:
        settings: Of the model.
        fold, seed: Of the run.
        work: The folder that the command gets.
        structures: Files with all crystals.
        parts: Folder with `train.csv`, `validation.csv` and `test.csv` of the fold.
        dataset: Name of the data set.
        target: Name of the target.
        unit: Its unit.
        non_negative: The target cannot be negative, so predictions are clamped at 0.
        threads: Number of threads.
        device: "cpu" or "cuda".
        hidden: Files and folders with results and data.
        task: What the target is, a number or a class.
    """

    settings: ExternalSettings
    fold: int
    seed: int
    work: Path
    structures: Sequence[Path]
    parts: Path
    dataset: str
    target: str
    unit: str
    non_negative: bool
    threads: int
    device: str
    hidden: Sequence[Path]
    task: TaskName = "regression"


@dataclass(frozen=True)
class ExternalRun:
    """What a command left.

    Attributes:
        predictions: (id, prediction) of the test crystals, with an uncertainty if the command states one.
        validation_error: Error of its predictions for the validation crystals, in the unit of the target if it has one.
        n_train: Crystals in `train.csv`.
        n_validation: Crystals in `validation.csv`.
        seconds: Time of the command, that of interrupted attempts included.
        peak_memory_mb: Highest resident memory of its processes together, sampled every 0.2 s, in MB (2^20 bytes).
        restarts: How often it was started again in a folder that an interrupted attempt had left.
        digest: SHA-256 of the files of the command.
        isolation: "namespaces", or "none" where results and data were not hidden.
    """

    predictions: pd.DataFrame
    validation_error: float
    n_train: int
    n_validation: int
    seconds: float
    peak_memory_mb: float
    restarts: int
    digest: str
    isolation: str


def run_external(job: ExternalJob) -> ExternalRun:
    """Runs the command to its end and reads its predictions.

    Raises:
        UserError: The command fails, or its predictions lack a crystal or have no finite number for one.
    """
    state = _prepare(job)
    command, hides = f"{job.settings.command} {shlex.quote(str(job.work.resolve()))}", job.settings.isolated
    arguments = isolated(command, Path(job.settings.folder), job.work, job.structures, job.hidden) if hides else None
    if arguments is None:
        log.warning("results and data are not hidden from the command%s", "" if hides else ", as the grid says")
    try:
        _run(arguments or ["/bin/sh", "-c", command], job, state)
    finally:
        _save(job, state)
    training, validation, test = (
        pd.read_csv(job.parts / name, dtype={"id": str}, keep_default_na=False)
        for name in PARTS  # "NA" is an id
    )
    ids = [*test["id"], *validation["id"]]
    found = read_predictions(
        job.work / PREDICTIONS, Wanted(job.dataset, job.fold, job.seed, ids, part="test and validation", task=job.task)
    )
    if job.non_negative:
        found["prediction"] = found["prediction"].clip(lower=0)
    validated = found["prediction"][len(test) :].to_numpy()
    _state_file(job).unlink()  # it is done: another run begins anew
    return ExternalRun(
        predictions=found[: len(test)],
        validation_error=error_of(TASKS[job.task], validation["target"].to_numpy(dtype=np.float64), validated),
        n_train=len(training),
        n_validation=len(validation),
        seconds=state["seconds"],
        peak_memory_mb=state["peak_memory_mb"],
        restarts=state["restarts"],
        digest=state["digest"],
        isolation="none" if arguments is None else "namespaces",
    )


def _state_file(job: ExternalJob) -> Path:
    return job.work.with_name("external.json")


def _prepare(job: ExternalJob) -> dict[str, Any]:
    """Makes the folder of the job, or keeps that of an interrupted attempt with all that the command left in it.

    Returns:
        The state of the job: what decides whether an attempt can go on, and time, memory and restarts so far.
    """
    given = {"parameters": job.settings.parameters, "seed": job.seed, "fold": job.fold}
    given |= {"target": job.target, "unit": job.unit, "non_negative": job.non_negative}
    given |= {"task": job.task} if job.task != "regression" else {}
    contents = [(job.parts / name).read_bytes() for name in PARTS]
    sums = [hashlib.sha256(content).hexdigest() for content in contents]
    sums += [sha256_of(path) for path in job.structures]
    same = {"given": given, "digest": digest(job.settings.folder), "command": job.settings.command, "files": sums}
    state = _read_state(_state_file(job))
    if job.work.is_dir() and {name: state.get(name) for name in same} == same:
        state["restarts"] += 1
        log.info("goes on in %s, where %.0f s were spent before", job.work, state["seconds"])
    else:
        shutil.rmtree(job.work, ignore_errors=True)
        job.work.mkdir(parents=True)
        state = same | {"seconds": 0.0, "peak_memory_mb": 0.0, "restarts": 0}
    for path in job.structures:
        (job.work / path.name).unlink(missing_ok=True)
        (job.work / path.name).symlink_to(path.resolve())
    for name, content in zip(PARTS, contents, strict=True):
        write_bytes(job.work / name, content)
    (job.work / PREDICTIONS).unlink(missing_ok=True)
    allotted = {"threads": job.threads, "device": job.device, "restarts": state["restarts"]}
    write_text(job.work / "settings.json", json.dumps(given | allotted, indent=2) + "\n")
    _save(job, state)
    return state


def _save(job: ExternalJob, state: Mapping[str, Any]) -> None:
    write_text(_state_file(job), json.dumps(state))


def _read_state(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):  # no attempt before, or one that was killed at its very beginning
        return {}


def _environment(job: ExternalJob) -> dict[str, str]:
    """Variables of the command: those of this process, without its Python, and with the threads and the device."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(job.threads))
    no_gpu = {"CUDA_VISIBLE_DEVICES": ""} if job.device == "cpu" else {}
    kept = {name: value for name, value in os.environ.items() if name not in OWN_VARIABLES}
    return kept | threads | no_gpu | {"PYTHONUNBUFFERED": "1"}


def _run(arguments: Sequence[str], job: ExternalJob, state: dict[str, Any]) -> None:
    """Runs a process, logs what it writes, and adds its time and memory to the state; ends all of it when interrupted.

    Raises:
        UserError: It ends with another status than 0.
    """
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that `finally` ends the command, too
    last, done = "nothing", threading.Event()
    process = subprocess.Popen(
        arguments,
        cwd=job.settings.folder,
        env=_environment(job),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    sampler = threading.Thread(target=_sample, args=(process.pid, job, state, done))
    sampler.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:  # of a progress bar, the last state alone
            text = line.decode(errors="replace").rstrip().rpartition("\r")[2]
            if text:
                log.info("%s", text)
                last = text
        status = process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        done.set()
        sampler.join()
        signal.signal(signal.SIGTERM, before)
    if status:
        ended = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        raise UserError(f"the command {ended}; the last line that it wrote: {last[:500]}")


def _sample(pid: int, job: ExternalJob, state: dict[str, Any], done: threading.Event) -> None:
    """Keeps the time and the highest memory of a process and its children in the state, until it is done."""
    start, before, saved = time.monotonic(), state["seconds"], time.monotonic()
    while not done.wait(SAMPLE_SECONDS):
        with contextlib.suppress(psutil.Error):
            process, total = psutil.Process(pid), 0
            for each in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    total += each.memory_info().rss
            state["peak_memory_mb"] = max(state["peak_memory_mb"], total / 2**20)
        if time.monotonic() - saved > SAVE_SECONDS:
            saved = time.monotonic()
            _save(job, state | {"seconds": before + saved - start})
    state["seconds"] = before + time.monotonic() - start
