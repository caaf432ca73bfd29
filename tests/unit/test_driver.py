"""One driver a folder, and none is locked out by a dead one."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sitenet.driver import SLURM_LOGS, _jobs_of, check_interpreter, take_folder
from sitenet.errors import UserError

HOLD = "import sys; from pathlib import Path; from sitenet.driver import take_folder;"
HOLD += "lock = take_folder(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"


def test_second_driver_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    with take_folder(tmp_path), pytest.raises(UserError, match=r"another snakemake \(process \d+ on .+\) works in"):
        take_folder(tmp_path)


def test_folder_is_free_after_the_driver(tmp_path: Path) -> None:
    take_folder(tmp_path).close()
    with take_folder(tmp_path) as again:
        assert not again.closed


def test_folder_is_free_after_a_killed_driver(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"process {holder.pid} "):
            take_folder(tmp_path)
        holder.kill()
    take_folder(tmp_path).close()


def test_a_file_system_without_locks_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("sitenet.driver.fcntl.flock", refuse)
    with pytest.raises(UserError, match=r"cannot be locked \(No locks available\): ask for the mount option flock"):
        take_folder(tmp_path)


def test_a_job_without_a_log_is_nobodys_orphan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an interactive one."""
    (tmp_path / SLURM_LOGS).mkdir(parents=True)
    own = f"{'17':20}{tmp_path.resolve() / SLURM_LOGS / 'train/1.log'}"
    answer = subprocess.CompletedProcess([], 0, stdout=f"{'16':20}\n{own}\n{'18':20}/other/1.log\n", stderr="")
    monkeypatch.setattr("sitenet.driver.subprocess.run", lambda *_, **__: answer)
    assert _jobs_of(tmp_path) == ["17"]


def test_two_folders_do_not_matter_to_each_other(tmp_path: Path) -> None:
    with take_folder(tmp_path / "one") as one, take_folder(tmp_path / "two") as two:
        assert one.name != two.name


@pytest.mark.parametrize("python", ["/my crystals/.venv/bin/python", "/a&b/bin/python", "/it's/bin/python"])
def test_an_interpreter_that_no_job_can_start_is_refused(python: str) -> None:
    check_interpreter("/home/me/.venv/bin/python3.11")
    with pytest.raises(UserError, match="make the environment in a folder without"):
        check_interpreter(python)
