"""Reads variants and mutations, and says which were read as another crystal or took too much."""

import resource
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from sitenet.data.crystal import BadCrystal
from sitenet.data.structures.parse import parse_structure
from tests.fuzz.crystals import known_crystals, shells
from tests.fuzz.mutations import mutation
from tests.fuzz.variants import Variant, variant

HOSTILE_IDS = ["\x1b[31mred\x1b[0m", '=HYPERLINK("x")', "+1-1", "@SUM(A1)", "a\nb", "\u03b1-3\u9ad8", "plain"]


@dataclass
class Outcome:
    """What became of many files."""

    same: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[tuple[int, Variant, str]] = field(default_factory=list)
    slowest: float = 0.0  # seconds
    memory: float = 0.0  # GB, the most that the process had

    def __str__(self) -> str:
        kinds = ", ".join(f"{n} {kind}" for kind, n in self.refused.most_common())
        return (
            f"{self.same} read as the same crystal, {self.refused.total()} refused ({kinds}), "
            f"{len(self.wrong)} wrong; slowest {self.slowest:.2f} s, memory {self.memory:.2f} GB"
        )


def run(numbers: Iterator[int] | range, seed: int, mutated: bool) -> Outcome:
    """Reads the variants, or the mutations, of some numbers; each has a random generator of its own."""
    outcome, crystals = Outcome(), known_crystals()
    for number in numbers:
        rng = np.random.default_rng([seed, number, mutated])
        file = variant(crystals[rng.integers(len(crystals))], rng, stated=mutated)
        if mutated:
            file = mutation(file, rng)
        start = time.perf_counter()
        verdict = _verdict(file, str(rng.choice(HOSTILE_IDS)))
        outcome.slowest = max(outcome.slowest, time.perf_counter() - start)
        if verdict is None:
            outcome.same += 1
        elif verdict.startswith("refused: ") and mutated:
            outcome.refused[verdict.split(": ")[1]] += 1
        else:
            outcome.wrong.append((number, file, verdict))
    outcome.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return outcome


def _verdict(file: Variant, id_: str) -> str | None:
    """None if the file is read as the crystal that it is; why it is refused, or what is wrong."""
    try:
        crystal = parse_structure(id_, file.name, file.content)
        difference = shells(crystal).differs(file.known.shells, file.known.gap, file.tolerance)
    except BadCrystal as reason:
        words = str(reason)
        kind = words.split(": ")[0]
        well_made = words.isprintable() and len(words) <= 300 and ": " in words and len(kind) < 25
        return f"refused: {words}" if well_made else f"a bad reason: {words!r}"
    return difference if crystal.id == id_ else f"another id: {crystal.id!r}"
