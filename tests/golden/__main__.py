"""Rewrites golden numbers: `python -m tests.golden [name ...]`, all of them where none is named."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.golden.all import GOLDEN

parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
parser.add_argument("names", nargs="*", metavar="name", help=", ".join(golden.name for golden in GOLDEN))
names = parser.parse_args().names
unknown = sorted(set(names) - {golden.name for golden in GOLDEN})
if unknown:
    parser.error(f"no golden numbers have the name {', '.join(unknown)}")
for golden in GOLDEN:
    if not names or golden.name in names:
        with TemporaryDirectory() as folder:
            golden.write(Path(folder))
        print(f"wrote {golden.path}")
