"""The user's own crystals."""

from pathlib import Path
from typing import Literal

from sitenet.data.manifest import Download
from sitenet.data.sources.base import Identifier, Provenance, Source, StatedTarget
from sitenet.settings.section import InputPath


class FilesDataset(StatedTarget):
    """The user's own crystals.

    Attributes:
        name: Name of the data set.
        path: Folder or zip of CIF, POSCAR, extxyz or pymatgen JSON files, or one Parquet or JSON file.
        targets: CSV with the columns file and target, and if wanted id and group; `targets.csv` in the
            folder or archive when left out.
        target: Name of the predicted property.
        unit: Its unit; required of a number, and a class has none.
        task: What the property is: a number, or one of two classes (`classification`), written as true and false or
            1 and 0.
        non_negative: Clamp predictions at zero.
        version: Version of the data.
        licence: Terms of use.
        citation: Publications to cite.
    """

    source: Literal["files"]
    name: Identifier
    path: InputPath
    targets: InputPath | None = None
    target: str
    unit: str
    non_negative: bool = False
    version: str = "not stated"
    licence: str = "not stated"
    citation: str = "not stated"

    @property
    def files(self) -> tuple[str, ...]:
        """What is read: the folder, archive or file at `path`, and the file `targets` if it is given."""
        return (self.path,) if self.targets is None else (self.path, self.targets)

    def open(self, download: Download | None = None) -> Source:
        """Opens the folder, archive or file."""
        from sitenet.data.sources.own_files import open_files
        from sitenet.data.targets import PARSERS, TargetColumns

        # The name alone: manifests are published, and where the files lie on this machine is nobody's business.
        name = Path(self.path).resolve().name
        stated = Provenance(self.version, name, "", self.licence, self.citation)
        columns = TargetColumns(PARSERS[self.task], tuple(self.other_targets))
        return open_files(Path(self.path), Path(self.targets) if self.targets else None, stated, columns)
