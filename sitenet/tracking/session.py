"""One open W&B run; the only module that imports wandb."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import wandb

from sitenet.history import HistoryRow
from sitenet.settings.tracking import TrackingSettings
from sitenet.tracking.content import Identity, one_line, origin

INIT_SECONDS = 15
FINISH_SECONDS = 15
# W&B must collect nothing by itself: no environment, command line, path, package list, git remote, machine data,
# system statistics or terminal output. Only the values that content.py names are sent.
PRIVATE: dict[str, Any] = {
    "host": "sitenet",
    "program": "sitenet",
    "console": "off",
    "silent": True,
    "disable_code": True,
    "save_code": False,
    "disable_git": True,
    "x_disable_meta": True,
    "x_disable_machine_info": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}


def check_login() -> None:
    """Ends the process with one line where there is no valid key or no answer.

    Raises:
        SystemExit: With the reason.
    """
    try:
        wandb.Api(timeout=INIT_SECONDS)
    except Exception as error:
        sys.exit(one_line(error))


class Session:
    """A W&B run that is being written; a context manager, which ends the run when it exits.

    Attributes:
        problem: Why a run in mode `online` was not fully uploaded; None if there was no problem.
        failed: Mark the run as failed; an exception that leaves the context has the same effect.
    """

    def __init__(
        self,
        settings: TrackingSettings,
        identity: Identity,
        folder: Path,
        resume: bool = False,
        finish_seconds: float = FINISH_SECONDS,
    ):
        """Opens the run and removes the files of earlier attempts.

        Args:
            settings: Mode, project and entity.
            identity: Id, name, group and tags of the run.
            folder: W&B keeps its files in the folder `wandb` below it.
            resume: Continue the run on the server. Otherwise, and always offline, the new run replaces it; every
                offline attempt has the whole history.
            finish_seconds: Longest time to wait for uploads at the end.

        Raises:
            Exception: Any error of W&B.
        """
        self.problem: str | None = None
        self.failed = False
        self._finish_seconds = finish_seconds
        self._run = self._open(settings, identity, folder, resume)
        self._folder = Path(self._run.settings.sync_dir)
        self._next_step: int = self._run.step
        self.describe(origin(settings.anonymize))
        self._run.define_metric("epoch", summary="none")
        self._run.define_metric("*", step_metric="epoch", summary="none")
        for attempt in self._folder.parent.glob(f"*run-{'?' * 8}_{'?' * 6}-{identity.id}"):
            if attempt.name != self._folder.name:
                shutil.rmtree(attempt)

    def _open(self, settings: TrackingSettings, identity: Identity, folder: Path, resume: bool) -> wandb.Run:
        try:
            return self._init(settings.mode, settings, identity, folder, resume)
        except wandb.Error as error:
            if settings.mode != "online":
                raise
            self.problem = f"tracked offline, W&B cannot be used online ({one_line(error)})"
            wandb.teardown()  # otherwise the service would consider the run still open
            return self._init("offline", settings, identity, folder, resume=False)

    def _init(self, mode: Any, settings: TrackingSettings, identity: Identity, folder: Path, resume: bool) -> wandb.Run:
        return wandb.init(
            mode=mode,
            project=settings.project,
            entity=settings.entity,
            dir=folder.resolve(),
            id=identity.id,
            name=identity.name,
            group=identity.group,
            job_type=identity.job_type,
            tags=identity.tags,
            resume="allow" if resume and mode == "online" else None,
            reinit="create_new",
            settings=wandb.Settings(
                **PRIVATE,
                init_timeout=INIT_SECONDS,
                finish_timeout=self._finish_seconds,
                finish_timeout_raises=True,
            ),
        )

    def __enter__(self) -> Self:
        """The session itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Ends the run and waits for its uploads."""
        try:
            self._run.finish(exit_code=int(self.failed or kind is not None))
        except TimeoutError:
            self.problem = f"not all was uploaded within {self._finish_seconds:g} s"
            return
        if not self._run.offline:
            wandb.teardown()  # only then is the log closed, which would be newer than its marker
            for log in self._folder.glob("*.wandb"):
                log.with_suffix(".wandb.synced").touch()  # `wandb sync` skips logs with this marker

    def describe(self, config: Mapping[str, Any]) -> None:
        """Sets configuration values."""
        self._run.config.update(dict(config), allow_val_change=True)

    def log_epochs(self, rows: Sequence[HistoryRow]) -> None:
        """Logs the rows of a history that W&B does not have yet; the step of a row is its epoch."""
        for row in rows:
            self.log({name: value for name, value in row.named().items() if value is not None}, row.epoch)

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """Logs values at a step, unless this or a later step is already logged."""
        if step >= self._next_step:
            self._run.log(dict(values), step=step, commit=True)
            self._next_step = step + 1

    def summarise(self, values: Mapping[str, float]) -> None:
        """Sets summary values."""
        self._run.summary.update(dict(values))

    def log_artifact(
        self, name: str, kind: str, files: Mapping[str, Path], metadata: Mapping[str, Any], used: bool = False
    ) -> None:
        """Adds files as an artifact; unchanged content creates no new version.

        Args:
            name: Name of the artifact.
            kind: Type of the artifact.
            files: Files by their path in the artifact. They are read in place, at the latest by `sync`. Relative
                paths keep the machine's folders out of the uploaded manifest.
            metadata: Plain values.
            used: The artifact is an input of the run; otherwise it is an output.
        """
        artifact = wandb.Artifact(name, kind, metadata=dict(metadata))
        for path_inside, path in sorted(files.items()):
            artifact.add_file(str(path), path_inside, skip_cache=True, policy="immutable")
        if used:
            # `use_artifact` refuses to work offline, although `wandb sync` can upload the record that it creates.
            self._run._log_artifact(artifact, is_user_created=True, use_after_commit=True)
        else:
            self._run.log_artifact(artifact)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> wandb.Table:
    """A table that W&B shows; None is an empty cell."""
    return wandb.Table(columns=list(columns), data=[list(row) for row in rows], allow_mixed_types=True)


def image(path: Path, caption: str) -> wandb.Image:
    """An image from a PNG file, which is copied when it is logged."""
    return wandb.Image(str(path), caption=caption)
