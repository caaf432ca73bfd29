"""The user's own crystals: a folder or zip archive of structure files with a CSV of targets, or one file."""

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from sitenet.config.data import FilesDataset
from sitenet.data.containers import Archive, Container, Folder
from sitenet.data.crystal import BadCrystal
from sitenet.data.source import Entry, Provenance, Source, sha256_of
from sitenet.data.structure_tables import json_entries, parquet_entries
from sitenet.data.structures.parse import is_structure_file, parse_structure
from sitenet.data.structures.text import printable
from sitenet.data.targets import parse_group, parse_target, read_targets
from sitenet.errors import UserError

TARGETS = "targets.csv"
LINKED_FOLDER = "unreadable: a link to a folder, which is not followed: put the folder itself there"
READERS = {".parquet": parquet_entries, ".json": json_entries}


def open_files(settings: FilesDataset) -> Source:
    """Opens the user's own files.

    Raises:
        UserError: A file or column is missing, or a file is of no known kind.
    """
    path = Path(settings.path)
    if not path.exists():
        raise UserError(f"dataset.path '{path}' does not exist")
    if path.is_dir():
        return _collection(settings, Folder(path))
    if path.suffix.lower() == ".zip":
        return _collection(settings, _archive(path))
    if path.suffix not in READERS:
        raise UserError(f"dataset.path '{path}' is neither a folder nor a .zip, .parquet or .json file")
    return Source(_provenance(settings, sha256_of(path)), READERS[path.suffix](path))


def _archive(path: Path) -> Archive:
    try:
        return Archive(path)
    except zipfile.BadZipFile as error:
        raise UserError(f"dataset.path '{path}' is a damaged zip archive: {error}") from None


def _provenance(settings: FilesDataset, sha256: str) -> Provenance:
    # The name alone: manifests are published, and where the files lie on this machine is nobody's business.
    name = Path(settings.path).resolve().name
    return Provenance(settings.version, name, sha256, settings.licence, settings.citation)


def _collection(settings: FilesDataset, container: Container) -> Source:
    try:
        table = Path(settings.targets).read_bytes() if settings.targets else container.read(TARGETS)
    except (BadCrystal, OSError) as error:
        raise UserError(f"dataset.path '{settings.path}' needs {TARGETS} in it, or dataset.targets: {error}") from None
    rows = [_with_plain_name(row) for row in read_targets(table, settings.targets or TARGETS)]
    names = [name for name in container.names() if is_structure_file(name) or name.endswith("/")]
    return Source(_provenance(settings, _checksum(table, container, names)), _entries(container, names, rows))


def _with_plain_name(row: dict[str, str]) -> dict[str, str]:
    """Writes `./sub//a.cif` as `sub/a.cif`; `..` stays, for the container to refuse."""
    return row | {"file": PurePosixPath(row["file"]).as_posix()} if row.get("file") else row


def _checksum(table: bytes, container: Container, names: list[str]) -> str:
    """SHA-256 over the table of targets and the names and contents of all readable structure files."""
    digest = hashlib.sha256(table)
    for name in names:
        digest.update(name.encode("utf-8", "surrogateescape"))
        try:
            digest.update(container.read(name))
        except BadCrystal:
            continue  # listed with its reason when its row is read
    return digest.hexdigest()


def _entries(container: Container, names: list[str], rows: list[dict[str, str]]) -> Iterator[Entry]:
    for row in rows:
        yield _entry(container, row)
    listed = {row.get("file") for row in rows}
    for name in names:
        if name.endswith("/"):
            yield Entry(printable(name), BadCrystal(LINKED_FOLDER), None)
        elif name not in listed:
            reason = BadCrystal("missing target: the table of targets has no row for this file")
            yield Entry(printable(name), reason, None)


def _entry(container: Container, row: dict[str, str]) -> Entry:
    name = row.get("file", "")
    id_ = row.get("id") or name
    try:
        if not name:
            raise BadCrystal("missing file: the field is empty")
        target = parse_target(row.get("target"))
        return Entry(id_, parse_structure(id_, name, container.read(name)), target, parse_group(row.get("group")))
    except BadCrystal as reason:
        return Entry(id_, reason, None)
