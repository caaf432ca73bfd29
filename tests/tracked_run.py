"""A finished training on real crystals, and runs that grow file by file as it did, for tests of tracking."""

import json
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sitenet.config.trial import flatten
from sitenet.files import write_text
from sitenet.records import RunResult
from sitenet.settings.tracking import TrackingSettings
from sitenet.tracking.content import run_identity
from sitenet.tracking.tasks import Follow
from sitenet.training.run import train
from tests.training_case import write_inputs
from tests.wandb_server import StoredRun

API_KEY = "0123456789abcdef" * 3


@dataclass(frozen=True)
class Finished:
    """A finished training: its folder and its record."""

    folder: Path
    result: RunResult

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Its history."""
        return [json.loads(line) for line in (self.folder / "history.jsonl").read_text().splitlines()]


def finished_run(folder: Path) -> Finished:
    """Trains a tiny network for three epochs."""
    job = write_inputs(folder).job(folder / "run")
    return Finished(job.folder, train(job))


@dataclass(frozen=True)
class Replay:
    """A run in which the files of a finished one appear again, epoch by epoch."""

    finished: Finished
    directory: Path

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return self.directory / "results" / "run"

    @property
    def tracked(self) -> Path:
        """Folder of W&B's files."""
        return self.directory / "results" / "wandb" / self.finished.result.key.benchmark

    def task(self, mode: Any = "offline", resumed: bool = False, anonymize: bool = False) -> Follow:
        """The task to track it."""
        result = self.finished.result
        self.folder.mkdir(parents=True, exist_ok=True)
        return Follow(
            settings=TrackingSettings(mode=mode, project="tests", anonymize=anonymize),
            folder=self.tracked,
            dataset="mp_dielectric_gap",
            key=result.key,
            kind=result.kind,
            hyperparameters=result.settings,
            run_folder=self.folder,
            resumed=resumed,
        )

    def write_epochs(self, count: int) -> None:
        """The history after so many epochs."""
        lines = (json.dumps(row) + "\n" for row in self.finished.rows[:count])
        write_text(self.folder / "history.jsonl", "".join(lines))

    def end(self) -> None:
        """The whole history and the record."""
        self.write_epochs(len(self.finished.rows))
        shutil.copy(self.finished.folder / "run.json", self.folder)

    def assert_uploaded(self, run: StoredRun) -> None:
        """The server has the run, value by value, and nothing twice."""
        result, rows = self.finished.result, self.finished.rows
        assert [{name: row[name] for name in row if name[0] != "_"} for row in run.history] == [
            {name: value for name, value in row.items() if value is not None} for row in rows
        ]
        assert [row["_step"] for row in run.history] == [row["epoch"] for row in rows]
        assert run.config | {n.replace(".", "_"): v for n, v in flatten(result.settings).items()} == run.config
        for name in ("versions", "hardware", "n_train", "n_validation", "unit"):
            assert run.config[name] == result.model_dump(mode="json")[name]
        assert run.summary["validation_mae"] == result.validation_error
        assert run.summary["training_seconds"] == result.cost.seconds
        identity = run_identity(result.key, result.kind, "mp_dielectric_gap")
        assert run.id == identity.id
        assert run.attributes["groupName"] == result.key.trial
        assert tuple(run.attributes["tags"]) == identity.tags
        assert run.exit_code == 0


def wait_until(condition: Callable[[], Any], seconds: float = 60) -> None:
    """Waits for something to become true."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.05)


@contextmanager
def nobody_listening() -> Iterator[str]:
    """An address that refuses connections."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}"
