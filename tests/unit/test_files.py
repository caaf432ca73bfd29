import multiprocessing
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sitenet.errors import UserError
from sitenet.files import exclusive, replacing, write_bytes, write_text


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """Makes the system refuse to let files grow beyond `limit` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_content_is_replaced(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "old, longer")
    write_text(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_one_line_and_leaves_the_old_content(tmp_path: Path) -> None:
    write_bytes(tmp_path / "file", b"old")
    with full_disk(1000), pytest.raises(UserError, match=r"cannot write .*file: \w+"):
        write_bytes(tmp_path / "file", bytes(5000))
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_error_of_the_writer_passes_and_leaves_the_old_content(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "old")

    def fail() -> None:
        with replacing(tmp_path / "file") as temporary:
            temporary.write_text("half")
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail()
    assert (tmp_path / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def hold(folder: Path, held_for: float) -> None:
    with exclusive(folder):
        (folder / "held").touch()
        time.sleep(held_for)
        (folder / "held").unlink()


def test_a_folder_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    holder = multiprocessing.get_context("spawn").Process(target=hold, args=(tmp_path, 1.0))
    holder.start()
    while not (tmp_path / "held").exists():
        assert holder.is_alive() or (tmp_path / "held").exists()
        time.sleep(0.01)
    with exclusive(tmp_path):
        assert not (tmp_path / "held").exists()
    holder.join()


def test_what_a_killed_holder_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".last.pt.123.tmp").write_text("half")
    (tmp_path / "last.pt").write_text("whole")
    with exclusive(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {".lock", "last.pt"}


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write in .*file/run: "), exclusive(tmp_path / "file" / "run"):
        pass


def test_a_link_stays_and_leads_to_the_new_content(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="pipe: it is no regular file"):
        write_text(tmp_path / "pipe", "new")
    assert (tmp_path / "pipe").is_fifo()
