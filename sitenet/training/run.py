"""One training run, from its files to its files; killed at any moment, it goes on where it was."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from sitenet.config import versions
from sitenet.config.trial import Trial
from sitenet.environment import hardware, package_versions, peak_memory_mb
from sitenet.features.store import FeatureStore
from sitenet.files import exclusive
from sitenet.model import build_model
from sitenet.records import Cost, RunKey, RunResult
from sitenet.training.checkpoint import RunDescription, restore, save_best, save_last
from sitenet.training.device import DeviceName, choose_device, configure_torch, device_name
from sitenet.training.fold import Fold, read_fold
from sitenet.training.report import progress_line, write_history
from sitenet.training.trainer import Trainer

logger = logging.getLogger("sitenet")


@dataclass(frozen=True)
class TrainJob:
    """What a training run needs to know.

    Attributes:
        key: Data set, trial, fold and seed.
        trial: Settings of the network, features and training.
        features: Shards of the trial's feature set.
        fold_table: `train.parquet` of the fold (id, target, part).
        folder: Where the run leaves its files.
        target: Name of the target.
        unit: Unit of the target.
        non_negative: The target cannot be negative.
        data_checksum: Checksum in the data set's manifest.
        threads: Threads of torch.
        device: `auto` takes a GPU where the process sees one.
        checkpoint_seconds: Time between checkpoints; a killed run loses no more work than this.
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


def train(job: TrainJob) -> RunResult:
    """Trains, or goes on with a run that was killed, and writes best.pt, history.jsonl and run.json.

    The state of the run is in last.pt, which holds the history and best weights too: the other files are
    outputs of the workflow, which removes them before it repeats a job.

    Raises:
        UserError: The run cannot go on; files of earlier runs and last.pt are as before.
    """
    device, settings = choose_device(job.device), job.trial.training
    with exclusive(job.folder):
        configure_torch(device, job.threads, job.key.seed)
        store = FeatureStore(job.features)
        fold = read_fold(job.fold_table, store, settings.max_crystals, job.key.seed)
        model = build_model(job.trial, job.non_negative)
        trainer = Trainer(model, settings, store, fold, job.key.seed, device)
        recorder = _Recorder(job, trainer, _describe(job, fold, trainer))
        recorder.begin()
        trainer.fit(recorder.after_step, recorder.after_epoch)
        save_best(job.folder / "best.pt", recorder.description, trainer)
        result = _result(job, trainer, fold, recorder.description)
        result.write(job.folder / "run.json")
        return result


def _describe(job: TrainJob, fold: Fold, trainer: Trainer) -> RunDescription:
    return RunDescription(
        key=job.key,
        settings=job.trial.settings,
        target=job.target,
        unit=job.unit,
        non_negative=job.non_negative,
        data_checksum=job.data_checksum,
        fold_checksum=fold.checksum,
        mean_target=float(fold.train.targets.mean()),
        stages={"data": versions.DATA, "features": versions.FEATURES, "train": versions.TRAIN},
        packages=package_versions(),
        computed_by=(trainer.computed_by,),
    )


class _Recorder:
    """Keeps last.pt, history.jsonl and the log up to date while a trainer works.

    Attributes:
        description: What the checkpoints of the run belong to.
    """

    def __init__(self, job: TrainJob, trainer: Trainer, description: RunDescription):
        self._job, self._trainer, self.description = job, trainer, description
        self._last, self._history = job.folder / "last.pt", job.folder / "history.jsonl"
        self._name = f"fold {job.key.fold} seed {job.key.seed} trial {job.key.trial}"
        self._saved = monotonic()

    def begin(self) -> None:
        """Goes on from last.pt where there is one; writes it at once, so that a full disk shows early."""
        if self._last.exists():
            self.description = restore(self._last, self.description, self._trainer)
        progress = self._trainer.progress
        if self._trainer.finished:
            remedy = f"remove {self._last} to train anew"
            logger.info("%s: already finished, its weights are reused; %s", self._name, remedy)
        else:
            if progress.seconds:
                progress.restarts += 1
                done = f"{progress.epochs} epochs and {progress.epoch.batches} batches done"
                logger.info("%s: goes on from last.pt, %s", self._name, done)
            self._save()
        write_history(self._history, progress)

    def after_step(self) -> None:
        """Saves when it is time."""
        if self._due:
            self._save()
            self._log()

    def after_epoch(self) -> None:
        """Records the epoch; saves when it is time or training is over."""
        if self._due or self._trainer.finished:
            self._save()
        write_history(self._history, self._trainer.progress)
        self._log()

    @property
    def _due(self) -> bool:
        return monotonic() - self._saved >= self._job.checkpoint_seconds

    def _save(self) -> None:
        progress = self._trainer.progress
        progress.peak_memory_mb = max(progress.peak_memory_mb, peak_memory_mb())
        save_last(self._last, self.description, self._trainer)
        self._saved = monotonic()

    def _log(self) -> None:
        logger.info("%s: %s", self._name, progress_line(self._trainer, self._job.unit))


def _result(job: TrainJob, trainer: Trainer, fold: Fold, description: RunDescription) -> RunResult:
    progress = trainer.progress
    assert progress.best is not None
    return RunResult(
        key=job.key,
        kind=job.trial.kind,
        settings=job.trial.settings,
        target=job.target,
        unit=job.unit,
        n_train=len(fold.train),
        n_train_available=fold.n_train_available,
        n_validation=len(fold.validation),
        validation_mae=progress.best.validation_mae,
        n_parameters=sum(parameter.numel() for parameter in trainer.model.parameters()),
        epochs=progress.epochs,
        cost=Cost(seconds=progress.seconds, peak_memory_mb=progress.peak_memory_mb, restarts=progress.restarts),
        versions=description.packages,
        hardware=hardware() | {"device": device_name(trainer.device), "threads": job.threads},
        computed_by=description.computed_by,
    )
