"""Tracking through real processes of wandb: read back, resumed, and broken in every way a run must survive.

wandb reads its own offline files here: `sitenet sync` uploads them to a server in this process, which keeps
what arrives. Nothing was sent to the real W&B.
"""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from sitenet.errors import UserError
from sitenet.tracking import process
from sitenet.tracking.process import following
from sitenet.tracking.sync import pending, sync
from tests.tracked_run import API_KEY, Finished, Replay, finished_run, nobody_listening, wait_until
from tests.wandb_server import StoredRun, WandbServer, serving_wandb


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished_run(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def replay(finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Replay:
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    return Replay(finished, tmp_path)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    with serving_wandb() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        yield server
        assert not server.failures


def only_run(server: WandbServer) -> StoredRun:
    (run,) = server.runs.values()
    return run


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_offline_run_reads_back(replay: Replay, server: WandbServer, caplog: pytest.LogCaptureFixture) -> None:
    with following(replay.task()):
        replay.end()
    assert not warnings(caplog)
    assert not server.requests
    sync(replay.directory)
    replay.assert_uploaded(only_run(server))
    assert pending(replay.tracked) == []


def test_online_run_is_seen_while_it_trains(replay: Replay, server: WandbServer) -> None:
    with following(replay.task("online")):
        replay.write_epochs(1)
        wait_until(lambda: server.runs and only_run(server).lines)
        assert [row["epoch"] for row in only_run(server).history] == [1]
        replay.end()
    replay.assert_uploaded(only_run(server))
    assert pending(replay.tracked) == []


def test_resumed_online_run_goes_on_and_nothing_is_doubled(replay: Replay, server: WandbServer) -> None:
    with following(replay.task("online")):
        replay.write_epochs(2)
        wait_until(lambda: server.runs and len(only_run(server).lines) == 2)
    assert only_run(server).exit_code == 1
    first_epochs = dict(only_run(server).lines)
    with following(replay.task("online", resumed=True)):
        replay.end()
    replay.assert_uploaded(only_run(server))
    assert only_run(server).lines.items() >= first_epochs.items()  # sent once, not again


def test_repeated_offline_run_takes_the_place_of_the_first(replay: Replay, server: WandbServer) -> None:
    with following(replay.task()):
        replay.write_epochs(2)
    sync(replay.directory)
    assert len(only_run(server).lines) == 2
    with following(replay.task(resumed=True)):
        replay.end()
    assert len(list((replay.tracked / "wandb").glob("offline-run-*"))) == 1
    sync(replay.directory)
    sync(replay.directory)
    replay.assert_uploaded(only_run(server))


def test_network_lost_in_mid_run(replay: Replay, server: WandbServer, caplog: pytest.LogCaptureFixture) -> None:
    with following(replay.task("online")):
        replay.write_epochs(1)
        wait_until(lambda: server.runs and only_run(server).lines)
        server.broken = lambda path: True
        replay.end()
    assert len(warnings(caplog)) == 1
    assert "not all was uploaded" in warnings(caplog)[0]
    server.broken = lambda path: False
    sync(replay.directory)
    replay.assert_uploaded(only_run(server))


def test_without_network_an_online_run_is_kept_for_later(
    replay: Replay, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with nobody_listening() as address:
        monkeypatch.setenv("WANDB_BASE_URL", address)
        with following(replay.task("online")):
            replay.end()
    assert len(warnings(caplog)) == 1
    assert "tracked offline" in warnings(caplog)[0]
    with serving_wandb() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        sync(replay.directory)
        replay.assert_uploaded(only_run(server))


def sabotage(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Runs `code` at the start of every Python process that is started from now on."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(folder))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; sys.modules['wandb'] = None", "import of wandb halted"),
        (
            "from wandb.sdk.lib.service import service_process as s; s.get_core_path = lambda: '/bin/false'",
            "exited with code 1",
        ),
        (
            "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))",
            "No usable temporary directory|File too large",
        ),
        ("import os; os.kill(os.getpid(), 11)", "Broken pipe|ended with status -11"),
    ],
    ids=["wandb not installed", "service not starting", "quota used up", "tracker crashes"],
)
def test_broken_wandb_is_one_warning(
    replay: Replay, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: str, said: str
) -> None:
    sabotage(replay.directory / "sabotage", monkeypatch, code)
    with following(replay.task()):
        replay.end()
    assert len(warnings(caplog)) == 1
    assert re.search(said, warnings(caplog)[0])


def test_folder_that_cannot_be_written_is_one_warning(replay: Replay, caplog: pytest.LogCaptureFixture) -> None:
    replay.tracked.parent.mkdir(parents=True)
    replay.tracked.write_text("a file in the way")
    with following(replay.task()):
        replay.end()
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_wandb_service_lost_in_mid_run(
    replay: Replay, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sent: int
) -> None:
    monkeypatch.setattr(process, "PATIENCE_SECONDS", 10.0)
    with following(replay.task()):
        replay.write_epochs(1)
        wait_until(lambda: list(replay.tracked.glob("wandb/offline-run-*/*.wandb")))
        (service,) = processes("wandb-core", replay)
        os.kill(service, sent)
        replay.end()
    assert len(warnings(caplog)) == 1
    assert not processes("sitenet.tracking.worker", replay)
    if sent == signal.SIGSTOP:
        os.kill(service, signal.SIGKILL)


def processes(name: str, replay: Replay) -> list[int]:
    """Processes that keep wandb's files of this run and have `name` in their command line."""
    found = []
    for process_folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (process_folder / "cmdline").read_bytes()
            environment = (process_folder / "environ").read_bytes()
        except OSError:  # it has ended, or belongs to someone else
            continue
        if name.encode() in command and f"WANDB_DATA_DIR={replay.tracked}".encode() in environment:
            found.append(int(process_folder.name))
    return found


VICTIM = """
import sys, time
from sitenet.tracking.process import following
from sitenet.tracking.tasks import Follow
with following(Follow.model_validate_json(sys.argv[1])):
    print("training", flush=True)
    time.sleep(600)
"""


def test_killed_training_leaves_no_process_and_a_readable_run(replay: Replay, server: WandbServer) -> None:
    command = [sys.executable, "-c", VICTIM, replay.task().model_dump_json()]
    replay.write_epochs(2)
    victim = subprocess.Popen(command, stdout=subprocess.PIPE)
    wait_until(lambda: list(replay.tracked.glob("wandb/offline-run-*/*.wandb")))
    victim.kill()
    victim.communicate()
    wait_until(lambda: not processes("", replay))
    sync(replay.directory)
    assert [row["epoch"] for row in only_run(server).history] == [1, 2]
    assert only_run(server).exit_code == 1


@pytest.mark.parametrize("training_dies", [False, True])
def test_a_killed_tracker_leaves_no_temporary_files(
    replay: Replay, monkeypatch: pytest.MonkeyPatch, training_dies: bool
) -> None:
    command = [sys.executable, "-c", VICTIM.replace("time.sleep(600)", "input()"), replay.task().model_dump_json()]
    victim = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    scratch = replay.tracked / process.SCRATCH
    wait_until(lambda: list(replay.tracked.glob("wandb/offline-run-*/*.wandb")))
    assert len(list(scratch.iterdir())) == 1
    if training_dies:
        victim.kill()
    for tracker in processes("sitenet.tracking.worker", replay):
        os.kill(tracker, signal.SIGKILL)
    victim.communicate(b"\n")
    assert scratch.exists() == training_dies  # nobody was left to remove it
    monkeypatch.setattr(process, "_start", lambda *_: None)
    process.publish(SimpleNamespace(folder=replay.tracked, benchmark="quick", results=[]))  # type: ignore[arg-type]
    assert not scratch.exists()
    assert "sitenet sync quick" in (replay.tracked / "README.md").read_text()


def test_many_starts_at_once(
    finished: Finished, tmp_path: Path, caplog: pytest.LogCaptureFixture, server: WandbServer
) -> None:
    replays = []
    with ExitStack() as stack:
        for seed in range(8):
            key = finished.result.key.model_copy(update={"seed": seed})
            result = finished.result.model_copy(update={"key": key})
            replays.append(Replay(Finished(finished.folder, result), tmp_path))
            stack.enter_context(following(replays[-1].task()))
        replays[0].end()
    assert not warnings(caplog)
    assert len(pending(replays[0].tracked)) == 8


def test_sync_goes_on_after_a_failure(replay: Replay, server: WandbServer, capfd: pytest.CaptureFixture[str]) -> None:
    with following(replay.task()):
        replay.end()
    (log,) = pending(replay.tracked)
    damaged = log.parent.with_name("offline-run-20260101_000000-damaged") / "run-damaged.wandb"
    damaged.parent.mkdir()
    damaged.write_bytes(log.read_bytes()[:5])
    with pytest.raises(UserError, match="1 of 2 runs could not be uploaded"):
        sync(replay.directory)
    assert pending(replay.tracked) == [damaged]
    replay.assert_uploaded(only_run(server))
    shown = capfd.readouterr().out.splitlines()
    assert shown[0] == "uploading 2 runs, 4 at a time"
    assert "1 of 2 runs uploaded" in shown
    assert [line for line in shown if line.startswith("failed: ")] == [line for line in shown if "damaged" in line]
    assert len(shown) == 3
    staging = replay.tracked / "artifacts/staging/left"
    staging.mkdir(parents=True)
    damaged.unlink()
    log.touch()  # as if it had grown
    sync(replay.directory)
    assert not staging.exists()


@pytest.mark.parametrize("key", [None, API_KEY])
def test_sync_asks_once_whether_wandb_can_be_used(
    replay: Replay, server: WandbServer, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    with following(replay.task()):
        replay.end()
    logs = pending(replay.tracked)
    if key is None:
        monkeypatch.delenv("WANDB_API_KEY")
        monkeypatch.setenv("HOME", str(replay.directory))  # where no key was stored
    else:
        server.broken = lambda path: True
    with pytest.raises(UserError, match=r"^nothing was uploaded, W&B cannot be used: \w+Error: ") as refused:
        sync(replay.directory)
    assert "`wandb login`" in str(refused.value)
    assert pending(replay.tracked) == logs
    assert not server.runs


@pytest.mark.parametrize("anonymize", [False, True])
def test_nothing_private_leaves(
    replay: Replay, server: WandbServer, monkeypatch: pytest.MonkeyPatch, anonymize: bool
) -> None:
    monkeypatch.setenv("USER", "a-user-name")
    monkeypatch.setenv("SOME_TOKEN", "a-token-from-the-environment")
    with following(replay.task(anonymize=anonymize)):
        replay.end()
    sync(replay.directory)
    kept = b"".join(path.read_bytes() for path in replay.tracked.rglob("*") if path.is_file())
    sent = b"".join(server.requests)
    assert API_KEY.encode() not in kept + sent
    root = str(Path(__file__).parents[2])
    for private in ("a-user-name", "a-token-from-the-environment", str(replay.directory), root, sys.prefix):
        assert private.encode() not in sent
    assert (f'"{socket.gethostname()}"'.encode() in sent.replace(b"\\", b"")) != anonymize
    assert ("commit" in only_run(server).config) <= (not anonymize)
