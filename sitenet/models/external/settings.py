"""Settings of a command that trains and predicts; docs/external.md says what it is given and what it leaves."""

import hashlib
import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from sitenet.errors import UserError
from sitenet.settings.section import InputPath, RowName, Section, with_numbers

MAX_FILES, MAX_BYTES = 1000, 100 * 2**20


class ExternalSettings(Section):
    """A command in an environment of its own, which trains and predicts.

    Attributes:
        folder: Folder with the files of the command, in which it is started. When one of them changes, it runs again.
        command: The command as one would type it in the folder, for example ".venv/bin/python train.py"; the path of
            the job's folder is added to it.
        parameters: What the command finds in `settings.json`. A list is a scan over its values.
        isolated: Hide results and data from the command where the system allows it; false for containers, which need
            what hides them for themselves.
        name: What the row of the leaderboard is called; the name of the folder when left out.
    """

    kind: Literal["external"] = "external"
    folder: InputPath = "model"
    command: Annotated[str, Field(pattern=r"\S")] = "python train.py"
    parameters: dict[str, Any] = Field(default={})
    isolated: bool = True
    name: RowName | None = None

    @field_validator("parameters")
    @classmethod
    def _plain(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        try:
            json.dumps(parameters, allow_nan=False)
        except (TypeError, ValueError):
            raise ValueError("finite numbers, text, true, false, null, lists and mappings are needed") from None
        return {name: with_numbers(value) for name, value in parameters.items()}


def digest(folder: Path | str) -> str:
    """SHA-256 over names and content of a folder's files; hidden ones and `__pycache__` do not count.

    Raises:
        UserError: There are too many or too large files: an environment or data, which belong elsewhere.
    """
    found, size, number = hashlib.sha256(), 0, 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_left_out(name))
        for name in sorted(name for name in names if not _is_left_out(name)):
            path = Path(place, name)
            number, size = number + 1, size + path.stat().st_size
            if number > MAX_FILES or size > MAX_BYTES:
                raise UserError(
                    f"{folder} has more than {MAX_FILES:,} files or {MAX_BYTES // 2**20} MB, too many to look for "
                    "changes: put environment and data into a hidden folder such as .venv, or elsewhere"
                )
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            found.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode(errors="surrogateescape"))
    return found.hexdigest()


def _is_left_out(name: str) -> bool:
    return name.startswith(".") or name == "__pycache__"
