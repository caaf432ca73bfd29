"""Reads many variants and mutations: `python -m tests.fuzz --variants 20000 --mutations 50000`."""

import argparse
import logging
from pathlib import Path

from tests.fuzz.run import run

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--variants", type=int, default=1000)
parser.add_argument("--mutations", type=int, default=1000)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--first", type=int, default=0, help="number of the first, to see one again")
parser.add_argument("--keep", type=Path, help="folder for the files that were read wrongly")
arguments = parser.parse_args()
logging.disable(logging.WARNING)
for word, n, mutated in (("variants", arguments.variants, False), ("mutations", arguments.mutations, True)):
    outcome = run(range(arguments.first, arguments.first + n), arguments.seed, mutated)
    print(f"{n} {word}: {outcome}")
    for number, file, verdict in outcome.wrong[:40]:
        print(f"  {number} {file.known.crystal.id} {file.name!r} {', '.join(file.changes)}: {verdict}")
        if arguments.keep:
            arguments.keep.mkdir(parents=True, exist_ok=True)
            suffix = file.name.replace("/", "_").encode("ascii", "backslashreplace").decode()
            (arguments.keep / f"{word}-{number}-{suffix.lstrip(chr(27))}").write_bytes(file.content)
