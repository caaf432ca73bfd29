"""2,000 files in each run: what they say is what is read, or is refused."""

import pytest

from tests.fuzz.run import run

PARTS, FILES = 4, 250  # parts run side by side


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("mutated", [False, True], ids=["variants", "mutations"])
def test_files_are_read_as_the_crystal_they_describe(part: int, mutated: bool) -> None:
    outcome = run(range(part * FILES, (part + 1) * FILES), seed=2026, mutated=mutated)
    wrong = [f"{number} {file.name!r} {', '.join(file.changes)}: {why}" for number, file, why in outcome.wrong]
    assert not wrong
    assert outcome.same + outcome.refused.total() == FILES
    assert outcome.refused.total() == 0 or mutated
    assert outcome.same > FILES / 4
    assert outcome.slowest < 10
