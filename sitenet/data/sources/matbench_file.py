"""Matbench v0.1 tasks: the official file, downloaded once and converted crystal by crystal."""

import gzip
import logging
import zlib
from collections.abc import Iterator
from pathlib import Path

import ijson

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.download import check_sha256, fetch
from sitenet.data.manifest import Download
from sitenet.data.matbench_task import OfficialTask, official_task
from sitenet.data.sources.base import Provenance, Source, SourceRow
from sitenet.data.structures.pymatgen_json import from_dict
from sitenet.errors import UserError

log = logging.getLogger(__name__)


def download_matbench(name: str, mirror: str | None, sha256: str | None, folder: Path) -> Download:
    """Downloads the official file of a task into `folder`, or takes it from `mirror`.

    Raises:
        UserError: It cannot be had, or its checksum differs from the official or expected one.
    """
    task = official_task(name)
    path, sha256 = folder / task.file_name, sha256 or task.sha256
    if path.exists():
        check_sha256(path, sha256, str(path))
    else:
        fetch(f"{mirror.rstrip('/')}/{task.file_name}" if mirror else task.url, path, sha256)
    return Download(path=str(path), sha256=sha256)


def open_matbench(name: str, download: Download) -> Source:
    """Opens the downloaded file of a task; null targets are unlabelled crystals."""
    task = official_task(name)
    provenance = Provenance(
        version="Matbench v0.1",
        url=task.url,
        sha256=download.sha256,
        licence="see the publications cited",
        citation=task.citation,
    )
    return Source(provenance, _rows(Path(download.path), task))


def _rows(path: Path, task: OfficialTask) -> Iterator[SourceRow]:
    try:
        with gzip.open(path) as file:
            columns = next(ijson.items(file, "columns"), None)
        if columns != ["structure", task.column]:
            raise UserError(f"{path} has the columns {columns}; {task.name} has 'structure' and '{task.column}'")
        with gzip.open(path) as file:
            n = 0
            for n, (structure, target) in enumerate(ijson.items(file, "data.item", use_float=True), start=1):
                id_ = task.id(n - 1)
                yield SourceRow(id_, _crystal(id_, structure), target)
    except (ijson.JSONError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path} is damaged: {str(error).splitlines()[0]}") from None
    if n != task.n_crystals:
        log.warning("%s holds %d of the %d crystals of %s", path, n, task.n_crystals, task.name)


def _crystal(id_: str, structure: dict) -> Crystal | BadCrystal:
    try:
        return from_dict(id_, structure)
    except BadCrystal as reason:
        return reason
