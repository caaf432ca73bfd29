"""One training run, from input files to output files; a killed run resumes from its checkpoint."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import torch

from sitenet import history, versions
from sitenet.config.trial import Trial
from sitenet.environment import hardware, package_versions, peak_memory_mb
from sitenet.errors import UserError
from sitenet.features.store import FeatureStore
from sitenet.files import exclusive
from sitenet.history import write_history
from sitenet.models.base.network import Network, PairNetwork, for_task
from sitenet.records import Cost, RunKey, RunResult
from sitenet.tasks import TASKS, TaskName
from sitenet.training.allotment import DeviceName
from sitenet.training.batching import DivergedError
from sitenet.training.checkpoint import RunDescription, restore, save_best, save_last
from sitenet.training.device import choose_device, configure_torch, device_name
from sitenet.training.progress import progress_line
from sitenet.training.start import start_from
from sitenet.training.trainer import Trainer
from sitenet.training.training_data import TrainingData, known, read_training_data

logger = logging.getLogger("sitenet")


@dataclass(frozen=True)
class TrainJob:
    """Inputs of a training run.

    Attributes:
        key: Benchmark, trial, fold and seed.
        trial: Settings of the network, features and training.
        features: Shards of the trial's feature set.
        fold_table: `train.parquet` of the fold (id, target, part).
        folder: Folder for the files of the run.
        target: Name of the target.
        unit: Unit of the target.
        non_negative: The target cannot be negative.
        task: What the target is, a number or a class.
        data_checksum: Checksum in the data set's manifest.
        threads: Number of torch threads.
        device: `auto` uses a GPU if the process sees one.
        checkpoint_seconds: Time between checkpoints in seconds, the most that a killed run loses.
        start: Checkpoint whose weights the run begins with; None begins with random ones.
        epochs: Stop after so many epochs, as a search does; another job with more goes on. None trains to the end.
    """

    key: RunKey
    trial: Trial
    features: Sequence[Path]
    fold_table: Path
    folder: Path
    target: str
    unit: str
    non_negative: bool
    data_checksum: str
    threads: int = 1
    device: DeviceName = "auto"
    checkpoint_seconds: float = 20.0
    start: Path | None = None
    epochs: int | None = None
    task: TaskName = "regression"


def train(job: TrainJob) -> RunResult:
    """Trains, or resumes a killed or stopped run, and writes best.pt, history.jsonl and run.json.

    A run that stops after a number of epochs writes epochs<n>.json in place of run.json, and no best.pt. One that
    diverges then has an infinite validation error and is no error, since a search must go on without it.

    The state of the run, with its history and best weights, is in last.pt. The other files are outputs of the
    workflow, which removes them before it repeats a job.

    Raises:
        UserError: The run cannot start or continue; last.pt and the files of earlier runs are unchanged.
    """
    device, settings = choose_device(job.device), job.trial.training
    with exclusive(job.folder):
        configure_torch(device, job.threads, job.key.seed)
        store = FeatureStore(job.features)
        data = read_training_data(job.fold_table, store, settings.max_crystals, job.key.seed, settings.other_targets)
        model = for_task(job.trial.build(job.non_negative), TASKS[job.task])
        origin = start_from(job.start, job.trial, job.target, model) if job.start else ""
        trainer = Trainer(model, settings, store, data, job.key.seed, device, _read_outs(job.trial, model, data))
        recorder = _Recorder(job, trainer, _describe(job, data, trainer, origin))
        recorder.begin()
        if job.epochs is not None:
            return _train_part(job, trainer, recorder, job.epochs)
        trainer.fit(recorder.after_step, recorder.after_epoch)
        save_best(job.folder / "best.pt", recorder.description, trainer.state.best, trainer.best_weights)
        assert trainer.state.best is not None
        result = _result(job, trainer, recorder.description, trainer.state.best.validation_error)
        result.write(job.folder / "run.json", files=["best.pt", history.FILE])
        return result


def _read_outs(trial: Trial, model: Network, data: TrainingData) -> list[PairNetwork]:
    """A read-out for each further target that the trial learns; random numbers drawn later are as without them."""
    if data.train.others and not (isinstance(model, PairNetwork) and model.readout()):
        raise UserError(
            f"training.other_targets: networks of the kind {trial.kind} do not say which layers are their read-out"
        )
    with torch.random.fork_rng(devices=[]):
        return [trial.build(False).without_sites() for _ in data.train.others]


def _train_part(job: TrainJob, trainer: Trainer, recorder: "_Recorder", epochs: int) -> RunResult:
    """Trains for some epochs in all; a run that has more of them already has its record as it was then."""
    diverged = False
    try:
        trainer.fit(recorder.after_step, recorder.after_epoch, epochs)
    except DivergedError as error:
        logger.warning("%s: %s", recorder.name, error)
        diverged = True
    rows = trainer.state.history[:epochs]
    errors = [error for row in rows for error in (row.validation_error, row.validation_error_ema) if error is not None]
    lowest = min(filter(math.isfinite, errors), default=math.inf)
    whole = _result(job, trainer, recorder.description, math.inf if diverged else lowest)
    cost = whole.cost if diverged else whole.cost.model_copy(update={"seconds": rows[-1].seconds})
    result = whole.model_copy(update={"epochs": len(rows), "cost": cost})
    result.write(job.folder / f"epochs{epochs}.json")
    return result


def _describe(job: TrainJob, data: TrainingData, trainer: Trainer, origin: str) -> RunDescription:
    return RunDescription(
        key=job.key,
        settings=job.trial.settings,
        target=job.target,
        unit=job.unit,
        non_negative=job.non_negative,
        task=job.task,
        data_checksum=job.data_checksum,
        fold_checksum=data.checksum,
        mean_target=float(known(data.train.targets).mean()),
        stages={"data": versions.DATA, "features": versions.FEATURES, "train": versions.TRAIN},
        packages=package_versions(),
        computed_by=(trainer.computed_by,),
        origin=origin,
    )


class _Recorder:
    """Keeps last.pt, history.jsonl and the log up to date while a trainer works.

    Attributes:
        description: Description of the run in its checkpoints.
        name: The run, for the log.
    """

    def __init__(self, job: TrainJob, trainer: Trainer, description: RunDescription):
        self._job, self._trainer, self.description = job, trainer, description
        self._last = job.folder / "last.pt"
        self.name = f"fold {job.key.fold} seed {job.key.seed} trial {job.key.trial}"
        self._saved = monotonic()

    def begin(self) -> None:
        """Resumes from last.pt if it exists, and writes it at once, so that a full disk is noticed early."""
        if self._last.exists():
            self.description = restore(self._last, self.description, self._trainer)
        state = self._trainer.state
        if self._trainer.finished:
            remedy = f"remove {self._last} to train anew"
            logger.info("%s: already finished, its weights are reused; %s", self.name, remedy)
        else:
            if state.seconds:
                state.restarts += 1
                done = f"{state.epochs} epochs and {state.epoch.batches} batches done"
                logger.info("%s: goes on from last.pt, %s", self.name, done)
            self._save()
        write_history(self._job.folder, state.history)

    def after_step(self) -> None:
        """Saves a checkpoint when one is due."""
        if self._due:
            self._save()
            self._log()

    def after_epoch(self) -> None:
        """Writes the history; saves a checkpoint when one is due or training ends here."""
        if self._due or self._is_done:
            self._save()
        write_history(self._job.folder, self._trainer.state.history)
        self._log()

    @property
    def _is_done(self) -> bool:
        """Whether training ends here, or a search stops it here."""
        return self._trainer.finished or self._trainer.state.epochs == self._job.epochs

    @property
    def _due(self) -> bool:
        return monotonic() - self._saved >= self._job.checkpoint_seconds

    def _save(self) -> None:
        state = self._trainer.state
        state.peak_memory_mb = max(state.peak_memory_mb, peak_memory_mb())
        save_last(self._last, self.description, self._trainer, self._is_done)
        self._saved = monotonic()

    def _log(self) -> None:
        logger.info("%s: %s", self.name, progress_line(self._trainer, self._job.unit))


def _result(job: TrainJob, trainer: Trainer, description: RunDescription, validation_error: float) -> RunResult:
    state, data = trainer.state, trainer.data
    return RunResult(
        key=job.key,
        kind=job.trial.kind,
        settings=job.trial.settings,
        target=job.target,
        unit=job.unit,
        task=job.task,
        n_train=data.train.n_labelled,
        n_train_available=data.n_train_available,
        n_validation=len(data.validation),
        validation_error=validation_error,
        n_parameters=sum(parameter.numel() for parameter in trainer.model.parameters()),
        epochs=state.epochs,
        cost=Cost(seconds=state.seconds, peak_memory_mb=state.peak_memory_mb, restarts=state.restarts),
        versions=description.packages,
        hardware=hardware() | {"device": device_name(trainer.device), "threads": job.threads},
        computed_by=description.computed_by,
        origin=description.origin,
    )
