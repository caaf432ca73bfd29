"""Compares what this package reads in real structure files with what gemmi, ASE and pymatgen read.

    python tools/compare_readers.py FOLDER... > compared.csv

The folders are unpacked source distributions of those libraries from the package index, or any others: nothing is
fetched. Each row names a file and what each reader makes of it: its sites, or why it has none.
"""

import csv
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import ase.io
import gemmi
from pymatgen.core import Structure

from sitenet.data.crystal import BadCrystal
from sitenet.data.structures.parse import is_structure_file, parse_structure
from sitenet.settings.elements import SYMBOLS

Counts = Counter[str]


def ours(path: Path) -> Counts:
    """What `parse_structure` reads."""
    crystal = parse_structure(path.name, path.name, path.read_bytes())
    return Counter(SYMBOLS[number - 1] for number in crystal.atomic_numbers)


def by_gemmi(path: Path) -> Counts:
    """What gemmi alone reads in a CIF file."""
    if ".cif" not in path.name.lower() and ".mcif" not in path.name.lower():
        raise ValueError("no CIF")
    small = gemmi.read_small_structure(str(path))
    return Counter(site.element.name for site in small.get_all_unit_cell_sites())


def by_ase(path: Path) -> Counts:
    """What ASE alone reads."""
    atoms = ase.io.read(path)
    assert not isinstance(atoms, list)
    return Counter(atoms.get_chemical_symbols())


def by_pymatgen(path: Path) -> Counts:
    """What pymatgen alone reads; amounts of partly occupied sites are rounded."""
    structure = Structure.from_file(path)
    return Counter({element.symbol: round(n) for element, n in structure.composition.element_composition.items()})


READERS: dict[str, Callable[[Path], Counts]] = {
    "ours": ours,
    "gemmi": by_gemmi,
    "ase": by_ase,
    "pymatgen": by_pymatgen,
}


def files(folders: list[Path]) -> Iterator[Path]:
    """Structure files that are data, not parts of a program's JSON settings, each content once."""
    seen: set[bytes] = set()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and is_structure_file(path.name) and path.suffix not in (".json", ".py"):
                content = path.read_bytes()
                if content not in seen:
                    seen.add(content)
                    yield path


def outcome(reader: Callable[[Path], Counts], path: Path) -> str:
    """Sites by element, or the reason why there are none."""
    try:
        counts = reader(path)
    except BadCrystal as reason:
        return f"refused: {reason}"
    except Exception as error:  # the libraries raise errors of every kind
        return f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"
    return " ".join(f"{symbol}{counts[symbol]}" for symbol in sorted(counts) if counts[symbol])


def main(folders: list[Path]) -> None:
    """Writes the table, and how often each library says the same, to standard output and standard error."""
    writer = csv.writer(sys.stdout)
    writer.writerow(["file", *READERS])
    tally: Counter[str] = Counter()
    for path in files(folders):
        outcomes = [outcome(reader, path) for reader in READERS.values()]
        writer.writerow([path.name, *outcomes])
        refused = outcomes[0].startswith("refused: ")
        tally["refused" if refused else "read"] += 1
        for name, other in zip(list(READERS)[1:], outcomes[1:], strict=True):
            if not refused and ": " not in other:
                tally[f"read as {name} does" if other == outcomes[0] else f"read unlike {name}"] += 1
    print(", ".join(f"{n} {what}" for what, n in sorted(tally.items())), file=sys.stderr)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main([Path(argument) for argument in sys.argv[1:]])
