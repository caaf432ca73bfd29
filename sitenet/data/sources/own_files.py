"""The user's own crystals: a folder or zip archive of structure files with a CSV of targets, or one file."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from sitenet.data.containers import Archive, Container, Folder, Subfolder, read_limited
from sitenet.data.crystal import BadCrystal
from sitenet.data.sources.base import Provenance, Source, SourceRow
from sitenet.data.structure_tables import json_rows, parquet_rows
from sitenet.data.structures.parse import is_structure_file, parse_structure
from sitenet.data.targets import TARGET, TargetColumns, parse_group, read_targets
from sitenet.errors import UserError
from sitenet.files import sha256_of

LINKED_FOLDER = "unreadable: a link to a folder, which is not followed: put the folder itself there"
TARGETS = "targets.csv"
READERS = {".parquet": parquet_rows, ".json": json_rows}


def open_files(path: Path, targets: Path | None, stated: Provenance, columns: TargetColumns = TARGET) -> Source:
    """Opens the user's own files.

    Args:
        path: Folder, archive or file.
        targets: Table of targets of a folder or archive; None looks for it inside.
        stated: What the user says of the data; the checksum is filled in.
        columns: Which targets there are.

    Raises:
        UserError: A file or column is missing, or a file is of no known kind.
    """
    if not path.exists():
        raise UserError(f"dataset.path '{path}' does not exist")
    if path.is_dir():
        return _collection(path, Folder(path), targets, stated, columns)
    if path.suffix.lower() == ".zip":
        return _collection(path, _archive(path), targets, stated, columns)
    if path.suffix not in READERS:
        raise UserError(f"dataset.path '{path}' is neither a folder nor a .zip, .parquet or .json file")
    if not path.is_file():
        raise UserError(f"dataset.path '{path}' is no regular file")
    return Source(replace(stated, sha256=sha256_of(path)), READERS[path.suffix](path, columns))


def _archive(path: Path) -> Archive:
    try:
        return Archive(path)
    except BadCrystal as reason:
        raise UserError(f"dataset.path '{path}' is {reason}") from None


def _collection(
    path: Path, container: Container, targets: Path | None, stated: Provenance, columns: TargetColumns
) -> Source:
    if targets is None:
        container = _with_targets(path, container)
    try:
        table = _own_table(targets) if targets else container.read(TARGETS)
    except (BadCrystal, OSError) as error:
        raise UserError(f"dataset.path '{path}' needs {TARGETS} in it, or dataset.targets: {error}") from None
    names = [name for name in container.names() if is_structure_file(name) or name.endswith("/")]
    known = frozenset(names)
    rows = [_with_plain_name(row, known) for row in read_targets(table, str(targets or TARGETS), columns.others)]
    return Source(replace(stated, sha256=_checksum(table, container, names)), _rows(container, names, rows, columns))


def _own_table(path: Path) -> bytes:
    with path.open("rb") as file:
        return read_limited(file, str(path))


def _with_targets(path: Path, container: Container) -> Container:
    """The container, or the one folder in it that holds everything, as when a folder is packed with its name."""
    names = container.names()
    tables = [PurePosixPath(name) for name in names if PurePosixPath(name).name == TARGETS]
    if TARGETS in names or not tables:
        return container
    top = tables[0].parent.as_posix()
    if len(tables) == 1 and all(name.startswith(f"{top}/") for name in names):
        return Subfolder(container, top)
    found = ", ".join(map(str, tables[:3]))
    raise UserError(
        f"dataset.path '{path}' needs {TARGETS} at its top, or dataset.targets; further down it has {found}"
    )


def _with_plain_name(row: dict[str, str], names: frozenset[str]) -> dict[str, str]:
    r"""Writes `./sub//a.cif` as `sub/a.cif`, and `sub\a.cif` if it is none; `..` stays for the container to refuse."""
    name = PurePosixPath(row["file"]).as_posix() if row["file"] else ""
    slashed = PurePosixPath(name.replace("\\", "/")).as_posix()
    return row | {"file": slashed if name not in names and slashed in names else name}


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


def _rows(
    container: Container, names: list[str], rows: list[dict[str, str]], columns: TargetColumns
) -> Iterator[SourceRow]:
    for row in rows:
        yield _row(container, row, columns)
    listed = {row.get("file") for row in rows}
    for name in names:
        if name.endswith("/"):
            yield SourceRow(name, BadCrystal(LINKED_FOLDER), None)
        elif name not in listed:
            yield SourceRow(name, BadCrystal("missing target: the table of targets has no row for this file"), None)


def _row(container: Container, row: dict[str, str], columns: TargetColumns) -> SourceRow:
    name = row.get("file", "")
    id_ = row.get("id") or name
    try:
        if not name:
            raise BadCrystal("missing file: the field is empty")
        target, others = columns.read(row)
        crystal = parse_structure(id_, name, container.read(name))
        return SourceRow(id_, crystal, target, parse_group(row.get("group")), name, others)
    except BadCrystal as reason:
        return SourceRow(id_, reason, None)
