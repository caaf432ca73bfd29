"""Golden numbers: what they are compared with, how closely, and what to do where they differ."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sitenet import versions

FOLDER = Path(__file__).parent
SHOWN = 8


@dataclass(frozen=True)
class Golden:
    """Numbers that a stage of the workflow gives, kept in a file.

    Attributes:
        name: Of the file, without its ending.
        compute: Gives the numbers as plain JSON values; may write files into the folder it gets.
        stage: Name of the stage's version in sitenet/versions.py; None where they belong to no stage.
        remedy: What must happen where they change, as one or two sentences.
        tolerance: Largest difference of two numbers, in their unit, that counts as none.
    """

    name: str
    compute: Callable[[Path], Any]
    stage: str | None
    remedy: str
    tolerance: float

    @property
    def path(self) -> Path:
        """The file with the numbers."""
        return FOLDER / f"{self.name}.json"

    def content(self, folder: Path) -> dict[str, Any]:
        """What the file should hold by today's code."""
        version = {self.stage: getattr(versions, self.stage)} if self.stage else {}
        return {"version": version, "numbers": json.loads(json.dumps(self.compute(folder)))}

    def write(self, folder: Path) -> None:
        """Rewrites the file."""
        self.path.write_text(json.dumps(self.content(folder), indent=1) + "\n")

    def problem(self, folder: Path) -> str | None:
        """What differs from the file and what to do about it; None where nothing does."""
        golden = json.loads(self.path.read_text())
        found = list(differences(self.content(folder), golden, self.tolerance))
        if not found:
            return None
        more = f"\n  and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        listed = "\n".join(f"  {line}" for line in found[:SHOWN])
        rewrite = f"Then rewrite the file: python -m tests.golden {self.name}"
        return f"{len(found)} values differ from {self.path.name}:\n{listed}{more}\n{self.remedy}\n{rewrite}"


def differences(found: Any, golden: Any, tolerance: float, where: str = "") -> Iterator[str]:
    """One line for each value that is another, missing or new; numbers may differ by the tolerance."""
    if isinstance(found, dict) and isinstance(golden, dict):
        for key in [*golden, *(key for key in found if key not in golden)]:
            place = f"{where}, {key}" if where else key
            if key not in found:
                yield f"{place}: missing"
            elif key not in golden:
                yield f"{place}: new, {found[key]!r:.80}"
            else:
                yield from differences(found[key], golden[key], tolerance, place)
    elif isinstance(found, list) and isinstance(golden, list) and len(found) == len(golden):
        for number, (value, expected) in enumerate(zip(found, golden, strict=True)):
            yield from differences(value, expected, tolerance, f"{where}, {number}")
    elif not _equal(found, golden, tolerance):
        yield f"{where}: {found!r} instead of {golden!r}"


def _equal(found: Any, golden: Any, tolerance: float) -> bool:
    if isinstance(found, float) and isinstance(golden, float):
        return abs(found - golden) <= tolerance
    return type(found) is type(golden) and found == golden
