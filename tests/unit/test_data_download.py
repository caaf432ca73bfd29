"""Downloads against a local server that fails in the ways that real ones do."""

import hashlib
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from sitenet.data import download
from sitenet.data.download import fetch
from sitenet.errors import UserError
from tests.http_server import Answer, serving

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Host:
    """Serves CONTENT, after the given failures; honours Range unless told otherwise."""

    def __init__(self, failures: list[Answer] | None = None, resumable: bool = True):
        self.failures = failures or []
        self.resumable = resumable
        self.ranges: list[str | None] = []

    def __call__(self, request: BaseHTTPRequestHandler) -> Answer:
        wanted = request.headers.get("Range")
        self.ranges.append(wanted)
        if self.failures:
            return self.failures.pop(0)
        if wanted is None or not self.resumable:
            return 200, {}, CONTENT
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(CONTENT):
            return 416, {}, b""
        return 206, {"Content-Range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"}, CONTENT[start:]


CUT = (200, {"Content-Length": str(len(CONTENT))}, CONTENT[:300_000])


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds slept between attempts, without sleeping."""
    slept: list[float] = []
    monkeypatch.setattr(download.time, "sleep", slept.append)
    return slept


def test_a_file_is_downloaded_and_checked(tmp_path: Path) -> None:
    with serving(Host()) as address:
        fetch(address + "file", tmp_path / "new" / "file", SHA256)
    assert (tmp_path / "new" / "file").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_servers_are_asked_again_with_growing_waits(tmp_path: Path, waits: list[float], status: int) -> None:
    with serving(Host([(status, {}, b"")] * 3)) as address:
        fetch(address, tmp_path / "file", SHA256)
    assert waits == [1, 2, 4]
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_the_wait_that_a_server_asks_for_is_respected(tmp_path: Path, waits: list[float]) -> None:
    with serving(Host([(429, {"Retry-After": "17"}, b"")])) as address:
        fetch(address, tmp_path / "file", SHA256)
    assert waits == [17]


def test_a_cut_connection_is_continued_where_it_broke(tmp_path: Path, waits: list[float]) -> None:
    host = Host([CUT])
    with serving(host) as address:
        fetch(address, tmp_path / "file", SHA256)
    assert host.ranges == [None, "bytes=300000-"]
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert len(waits) == 1


def test_servers_without_ranges_send_it_all_again(tmp_path: Path, waits: list[float]) -> None:
    with serving(Host([CUT], resumable=False)) as address:
        fetch(address, tmp_path / "file", SHA256)
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("left", [CONTENT[:1000], CONTENT, b"x" * 1000, CONTENT + b"x"])
def test_what_another_run_left_is_continued_or_replaced(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "file.part").write_bytes(left)
    with serving(Host()) as address:
        fetch(address, tmp_path / "file", SHA256)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_gzip_that_is_the_file_itself_is_not_unpacked(tmp_path: Path) -> None:
    with serving(lambda _: (200, {"Content-Encoding": "gzip"}, CONTENT)) as address:
        fetch(address, tmp_path / "file", SHA256)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_differing_checksum_is_refused_and_both_are_named(tmp_path: Path) -> None:
    with serving(Host()) as address, pytest.raises(UserError, match=rf"{SHA256}, but {'0' * 64} is expected"):
        fetch(address, tmp_path / "file", "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_final(tmp_path: Path, waits: list[float]) -> None:
    with serving(Host([(404, {}, b"")])) as address, pytest.raises(UserError, match="HTTP 404"):
        fetch(address, tmp_path / "file", SHA256)
    assert waits == []


def test_without_network_the_message_says_where_to_put_the_file(tmp_path: Path, waits: list[float]) -> None:
    with serving(Host()) as address:
        pass  # nothing listens there any more
    with pytest.raises(UserError) as caught:
        fetch(address + "file", tmp_path / "file", SHA256)
    message = str(caught.value)
    assert f"put it at {tmp_path / 'file'}" in message
    assert "dataset.mirror" in message
    assert "\n" not in message
    assert len(waits) == download.ATTEMPTS - 1


def test_a_folder_serves_as_mirror(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "file").write_bytes(CONTENT)
    fetch(str(tmp_path / "mirror" / "file"), tmp_path / "file", SHA256)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_an_address_of_another_kind_is_refused_at_once(tmp_path: Path, waits: list[float]) -> None:
    with pytest.raises(UserError, match=r"dataset\.mirror is a folder or an address of http"):
        fetch("file:///mirror/file", tmp_path / "file", SHA256)
    assert not waits


def test_a_folder_without_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot copy .*nowhere.*\(dataset\.mirror\)"):
        fetch(str(tmp_path / "nowhere"), tmp_path / "file", SHA256)


def test_without_a_checksum_an_old_part_is_not_continued(tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(b"of another file")
    with serving(host := Host()) as address:
        fetch(f"{address}file", tmp_path / "file", None)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert host.ranges == [None]
