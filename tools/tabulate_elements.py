"""Writes sitenet/features/elements.csv from the Magpie tables that come with matminer.

python tools/tabulate_elements.py
"""

from pathlib import Path

import matminer.utils.data

from sitenet.features.elements import N_ELEMENTS, TABLE

NOTE = """\
# Magpie elemental properties (Ward et al., npj Comput. Mater. 2, 16028 (2016)), collected by
# tools/tabulate_elements.py from the tables that matminer distributes under its modified BSD licence
# (github.com/hackingmaterials/matminer); their README.txt names units and sources.
# Row Z = 1..118; an empty cell is not tabulated.
"""
SEVERAL_VALUES = {"OxidationStates", "IonizationEnergies"}


def cell(lines: list[str], row: int) -> str:
    """The number at a row as Magpie writes it, or nothing where it has none."""
    text = lines[row].strip() if row < len(lines) else ""
    try:
        float(text)
    except ValueError:
        return ""
    return "" if text.lower() == "nan" else text


def main() -> None:
    """One column a property with a single value an element."""
    folder = Path(matminer.utils.data.__file__).parent / "data_files" / "magpie_elementdata"
    tables = {path.stem: path.read_text(encoding="utf-8").splitlines() for path in sorted(folder.glob("*.table"))}
    names = [name for name in tables if name not in SEVERAL_VALUES]
    rows = [",".join(cell(tables[name], row) for name in names) for row in range(N_ELEMENTS)]
    TABLE.write_text(NOTE + "\n".join([",".join(names), *rows]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
