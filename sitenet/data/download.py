"""Downloads that survive flaky networks: retried with back-off, resumed, and checked."""

import logging
import shutil
import time
from pathlib import Path
from typing import IO

import requests
from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema
from urllib3.exceptions import HTTPError

from sitenet.errors import UserError
from sitenet.files import sha256_of

log = logging.getLogger(__name__)
ATTEMPTS = 6
TIMEOUT = (10, 60)  # seconds to connect, seconds without a byte
CHUNK = 1 << 20
KEY = "dataset.expected_sha256"
TEMPORARY = {408, 425, 429, 500, 502, 503, 504}


class _Retry(Exception):  # noqa: N818
    """A failure that may pass; `wait` is how long the server asks to wait, in seconds."""

    def __init__(self, reason: str, wait: float = 0):
        super().__init__(reason)
        self.wait = wait


def fetch(location: str, path: Path, sha256: str | None, key: str = KEY) -> None:
    """Brings the file at a URL or in a folder to `path`.

    What an interrupted download left in `path`.part is continued where the server allows it.

    Args:
        location: URL, or path of a file.
        path: Where the file shall lie.
        sha256: Its checksum; None where it is not known beforehand, which starts anew: nothing would tell whether
            an old part belongs to the file.
        key: Where the user may state another checksum.

    Raises:
        UserError: The file cannot be had, or its checksum differs.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    if sha256 is None:
        part.unlink(missing_ok=True)
    if "://" in location:
        resumed = part.exists()
        _download(location, part, path)
        if resumed and sha256 and sha256_of(part) != sha256:
            log.warning("%s: the continued download is damaged; starting anew", location)
            part.unlink()
            _download(location, part, path)
    else:
        _copy(Path(location).expanduser(), part)
    try:
        if sha256:
            check_sha256(part, sha256, location, key)
    except UserError:
        part.unlink()
        raise
    part.replace(path)


def check_sha256(path: Path, sha256: str, name: str, key: str = KEY) -> None:
    """Compares a file's checksum with the expected one, which the user may have stated as `key`.

    Raises:
        UserError: They differ.
    """
    found = sha256_of(path)
    if found != sha256:
        raise UserError(
            f"{name} has the SHA-256 {found}, but {sha256} is expected; "
            f"if this is the file you mean, set {key} to the former"
        )


def _copy(source: Path, part: Path) -> None:
    try:
        shutil.copyfile(source, part)
    except OSError as error:
        raise UserError(f"cannot copy {source} (dataset.mirror): {error.strerror}") from None


def _download(url: str, part: Path, path: Path) -> None:
    for attempt in range(ATTEMPTS):
        try:
            return _continue(url, part)
        except (InvalidSchema, MissingSchema, InvalidURL):
            raise UserError(f"cannot download {url}: dataset.mirror is a folder or an address of http(s)") from None
        except (requests.RequestException, HTTPError, _Retry) as error:
            reason = error
            wait = max(2.0**attempt, getattr(error, "wait", 0))
        if attempt + 1 < ATTEMPTS:
            log.warning("%s: %s; trying again in %.0f s", url, _short(reason), wait)
            time.sleep(wait)
    raise UserError(
        f"cannot download {url} after {ATTEMPTS} attempts ({_short(reason)}); without internet, "
        f"fetch it elsewhere and put it at {path}, "
        "or set dataset.mirror to a folder or URL that holds it"
    )


def _continue(url: str, part: Path) -> None:
    """Appends to `part` what is still missing of the file at `url`."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == 416:  # nothing is left to fetch, or the file has changed: the checksum tells
            return
        if response.status_code in TEMPORARY:
            raise _Retry(f"HTTP {response.status_code}", _retry_after(response))
        if response.status_code not in (200, 206):
            raise UserError(f"cannot download {url}: HTTP {response.status_code} {response.reason}")
        with part.open("ab" if response.status_code == 206 else "wb") as file:
            _save(response, file, url)


def _save(response: requests.Response, file: IO[bytes], url: str) -> None:
    total = int(response.headers.get("Content-Length", 0)) + file.tell()
    step, reported = max(total // 10, 1), file.tell()
    # Raw bytes: a server that labels the file itself as `Content-Encoding: gzip` must not have it unpacked.
    for chunk in response.raw.stream(CHUNK, decode_content=False):
        file.write(chunk)
        if file.tell() - reported >= step:
            reported = file.tell()
            log.info("%s: %d of %d MB", url, reported / 1e6, total / 1e6)


def _retry_after(response: requests.Response) -> float:
    value = response.headers.get("Retry-After", "")
    return min(float(value), 300) if value.isdigit() else 0


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
