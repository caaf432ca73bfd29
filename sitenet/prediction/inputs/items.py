"""One crystal to predict, as it travels from where it was found to the process that reads it."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.structures.parse import parse_structure
from sitenet.errors import UserError, plain

AT_ONCE = 512  # crystals, and bytes of their files, that are handled together
BYTES_AT_ONCE = 8_000_000


class FileContent(NamedTuple):
    """A structure file that is not read yet; its name tells the format."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Item:
    """One crystal.

    Attributes:
        id: Its path, with what leads to it in an archive or a file of several; or its id in a table.
        source: The crystal, the file that holds it, or the reason why it cannot be had.
    """

    id: str
    source: Crystal | FileContent | BadCrystal

    def crystal(self) -> Crystal:
        """The crystal.

        Raises:
            BadCrystal: It cannot be used; the message is the reason.
        """
        if isinstance(self.source, BadCrystal):
            raise self.source
        if isinstance(self.source, FileContent):
            return parse_structure(self.id, *self.source)
        return self.source


@dataclass(frozen=True)
class Input:
    """Crystals from one place; `count` is how many there are, None where only reading them tells."""

    items: Iterable[Item]
    count: int | None


def path_id(path: object) -> str:
    """A path as an id, with control characters written out.

    Spreadsheets run what begins with one of these signs; `./` before it leads to the same file.
    """
    return plain(f"./{path}" if str(path).startswith(("=", "+", "-", "@")) else str(path))


def guarded(id_: str, items: Iterable[Item]) -> Iterator[Item]:
    """The items, and at their end the reason why there are no more, if there is one."""
    try:
        yield from items
    except (UserError, BadCrystal) as reason:
        yield Item(id_, BadCrystal(str(reason)))
    except OSError as error:
        yield Item(id_, BadCrystal(f"unreadable: {error.strerror or error}"))
    except (EOFError, zlib.error) as error:
        yield Item(id_, BadCrystal(f"unreadable: it is damaged: {error}"))


def chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Lists of at most `AT_ONCE` items; files that fill `BYTES_AT_ONCE` end one earlier."""
    chunk: list[Item] = []
    n_bytes = 0
    for item in items:
        chunk.append(item)
        n_bytes += len(item.source.content) if isinstance(item.source, FileContent) else 0
        if len(chunk) == AT_ONCE or n_bytes >= BYTES_AT_ONCE:
            yield chunk
            chunk, n_bytes = [], 0
    if chunk:
        yield chunk
