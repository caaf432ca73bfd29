"""The text of a file in whatever encoding, the numbers in it, and words that are safe to show."""

import codecs
import gzip
import io
import re
import zlib

from sitenet.data.crystal import BadCrystal

MAX_UNPACKED = 50_000_000  # bytes
MAX_REASON = 300  # characters
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?")
_UNCERTAINTY = re.compile(r"\(\d+\)?$")  # 5.64(2); the closing bracket is cut off where lines were
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def decode(name: str, content: bytes) -> str:
    """The text of a file, with line ends as on Unix.

    Text is taken as UTF-8, or UTF-16 or UTF-32 where its first bytes say so. What is none of them is taken as
    Latin-1: names of authors are no reason to refuse a structure, and numbers are refused if not in ASCII.

    Args:
        name: Name of the file; what ends in `.gz` is unpacked first.
        content: What it holds.

    Raises:
        BadCrystal: It is no text, or too large when unpacked.
    """
    if name.lower().endswith(".gz"):
        content = _unpacked(name, content)
    text = _text(content)
    if "\0" in text:
        raise BadCrystal(f"unreadable: {name} is no text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _unpacked(name: str, content: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            unpacked = file.read(MAX_UNPACKED + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadCrystal(f"unreadable: {name} is damaged: {error}") from None
    if len(unpacked) > MAX_UNPACKED:
        raise BadCrystal(f"too large: {name} has more than {MAX_UNPACKED // 1_000_000} MB when unpacked")
    return unpacked


def _text(content: bytes) -> str:
    encoding = next((encoding for mark, encoding in _MARKS.items() if content.startswith(mark)), None)
    if encoding is None and b"\0" in content[:2]:
        encoding = "utf-16-be" if content[:1] == b"\0" else "utf-16-le"
    try:
        return content.decode(encoding or "utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def number(text: str, where: str, uncertainty: bool = False) -> float:
    """A number as files write them: `0.5`, `-.5`, `1e-3`, Fortran's `1.0D0`, and `5.64(2)` where uncertainties may be.

    Raises:
        BadCrystal: It is something else, such as `1_5` or `nan`, which Python would take, or not finite.
    """
    digits = _UNCERTAINTY.sub("", text) if uncertainty else text
    if len(text) > 100 or not digits.isascii() or not _NUMBER.fullmatch(digits):
        raise BadCrystal(f"unreadable: {where}: '{text[:40]}' is not a number")
    value = float(digits.replace("d", "e").replace("D", "e"))
    if not abs(value) < 1e300:
        raise BadCrystal(f"unreadable: {where}: '{text[:40]}' is too large a number")
    return value


def line_of(text: str, token: str) -> str:
    """Where a token stands in a text, as `line 12`."""
    return f"line {text.count(chr(10), 0, max(text.find(token), 0)) + 1}"


def one_line(reason: object) -> str:
    """A reason as one printable line of limited length."""
    words = " ".join(str(reason).split())
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in words)
    return line if len(line) <= MAX_REASON else line[: MAX_REASON - 3] + "..."
