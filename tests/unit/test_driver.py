"""One driver a folder, and none is locked out by a dead one."""

import subprocess
import sys
from pathlib import Path

import pytest

from sitenet.driver import check_interpreter, take_folder
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


def test_two_folders_do_not_matter_to_each_other(tmp_path: Path) -> None:
    with take_folder(tmp_path / "one") as one, take_folder(tmp_path / "two") as two:
        assert one.name != two.name


@pytest.mark.parametrize("python", ["/my crystals/.venv/bin/python", "/a&b/bin/python", "/it's/bin/python"])
def test_an_interpreter_that_no_job_can_start_is_refused(python: str) -> None:
    check_interpreter("/home/me/.venv/bin/python3.11")
    with pytest.raises(UserError, match="make the environment in a folder without"):
        check_interpreter(python)
