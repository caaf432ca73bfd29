"""Data sets from the Materials Project: fetched once into a snapshot that never changes by itself."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.manifest import Download
from sitenet.data.sources.base import Provenance, Source, SourceRow
from sitenet.data.sources.materials_project_client import MaterialsProject
from sitenet.data.sources.materials_project_snapshot import (
    GrowingSnapshot,
    Row,
    SnapshotHeader,
    read_digests,
    read_header,
    read_rows,
)
from sitenet.data.structures.pymatgen_json import from_dict
from sitenet.errors import UserError
from sitenet.files import sha256_of
from sitenet.records import FileRecord

log = logging.getLogger(__name__)


class Changes(FileRecord):
    """What refetching changed; ids of crystals."""

    old_version: str
    new_version: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True)
class Query:
    """What a snapshot is asked for.

    Attributes:
        name: Name of the data set and of the snapshot.
        target: Field of the summary documents; a dot leads into it.
        criteria: Arguments of the client's summary search.
        others: Fields of further targets.
    """

    name: str
    target: str
    criteria: dict[str, Any]
    others: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """All fields of targets."""
        return (self.target, *self.others)


def download_materials_project(query: Query, folder: Path) -> Download:
    """Fetches a snapshot into `folder`, or uses the one that is there.

    Raises:
        UserError: The service cannot be asked, or the snapshot was made with other query.
    """
    path = folder / f"{query.name}.jsonl.gz"
    if not path.exists():
        _fetch(query, path)
    header = read_header(path)
    fetched = Query(query.name, header.target, header.criteria, header.others)
    if fetched != query:
        raise UserError(
            f"{path} was fetched for {_described(fetched)}; the configuration asks for {_described(query)}: "
            "choose another dataset.name, or refetch"
        )
    return Download(path=str(path), sha256=sha256_of(path))


def _described(query: Query) -> str:
    return f"{', '.join(query.targets)} with {json.dumps(query.criteria)}"


def refetch(query: Query, folder: Path) -> Changes:
    """Replaces a snapshot by what the database holds now.

    The old snapshot is kept beside it under its database version, numbered where one of that version is there; the
    changes are logged and written to `{name}.changes.json`.

    Raises:
        UserError: There is no snapshot yet, or the service cannot be asked.
    """
    path, new_path = folder / f"{query.name}.jsonl.gz", folder / f"{query.name}.new.jsonl.gz"
    if not path.exists():
        raise UserError(f"{path} does not exist: there is nothing to refetch")
    _fetch(query, new_path)
    changes = _compare(path, new_path)
    kept, number = folder / f"{query.name}.{changes.old_version}.jsonl.gz", 1
    while kept.exists():
        number += 1
        kept = folder / f"{query.name}.{changes.old_version}-{number}.jsonl.gz"
    path.rename(kept)
    new_path.rename(path)
    changes.write(folder / f"{query.name}.changes.json")
    counts = f"{len(changes.added)} crystals added, {len(changes.removed)} removed, {len(changes.changed)} changed"
    log.warning("%s: database %s -> %s: %s", query.name, changes.old_version, changes.new_version, counts)
    return changes


def _compare(old_path: Path, new_path: Path) -> Changes:
    old, new = read_digests(old_path), read_digests(new_path)
    return Changes(
        old_version=read_header(old_path).database_version,
        new_version=read_header(new_path).database_version,
        added=tuple(id_ for id_ in new if id_ not in old),
        removed=tuple(id_ for id_ in old if id_ not in new),
        changed=tuple(id_ for id_ in new if id_ in old and new[id_] != old[id_]),
    )


def _fetch(query: Query, path: Path) -> None:
    service = MaterialsProject()
    header = SnapshotHeader(
        name=query.name,
        endpoint=service.endpoint,
        database_version=service.version,
        target=query.target,
        criteria=query.criteria,
        others=query.others,
    )
    snapshot, ids = GrowingSnapshot(path, header), service.ids(query.criteria)
    log.info("%s: %d crystals, %d of them fetched before", query.name, len(ids), len(snapshot.done))
    missing = [id_ for id_ in ids if id_ not in snapshot.done]
    fields = dict.fromkeys(target.split(".")[0] for target in query.targets)
    documents = service.documents(missing, [*fields, "structure"])
    snapshot.add(_row(document, query) for document in documents)
    snapshot.finish()


def _row(document: dict[str, Any], query: Query) -> Row:
    others = {"others": {name: _value(document, name) for name in query.others}} if query.others else {}
    row = {"id": document["material_id"], "target": _value(document, query.target)}
    return row | others | {"structure": document.get("structure")}


def _value(document: dict[str, Any], field: str) -> Any:
    value: Any = document
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def open_materials_project(download: Download) -> Source:
    """Opens a snapshot."""
    path = Path(download.path)
    header = read_header(path)
    provenance = Provenance(
        version=f"Materials Project database {header.database_version}",
        url=header.endpoint,
        sha256=download.sha256,
        licence="CC BY 4.0",
        citation="Jain et al., APL Mater. 1, 011002 (2013), doi:10.1063/1.4812323",
        query=json.dumps(header.criteria),
    )
    return Source(provenance, _rows(path, header.target))


def _rows(path: Path, target: str) -> Iterator[SourceRow]:
    for row in read_rows(path):
        yield SourceRow(row["id"], _crystal(row, target), row["target"], others=row.get("others", {}))


def _crystal(row: Row, target: str) -> Crystal | BadCrystal:
    if row["structure"] is None:
        return BadCrystal("missing structure: the document has none")
    if all(value is None for value in (row["target"], *row.get("others", {}).values())):
        return BadCrystal(f"missing target: the document has no {target}")
    try:
        return from_dict(row["id"], row["structure"])
    except BadCrystal as reason:
        return reason
