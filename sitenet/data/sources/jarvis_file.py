"""Files of JARVIS-DFT and of its leaderboard: downloaded once, and converted crystal by crystal.

The crystals are a zip archive with one JSON list of records, the splits one with an object of the objects `train`,
`val` and `test`, from ids to targets. What they hold was taken from the code that reads and writes them:
`jarvis/db/figshare.py` of jarvis-tools, and `format_data.py` of the leaderboard. Not run here: neither file could be
fetched, so no checksum of them is built in.
"""

import io
import json
import logging
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sitenet.data.crystal import BadCrystal
from sitenet.data.download import KEY, check_sha256, fetch
from sitenet.data.manifest import Download
from sitenet.data.sources.base import LeftOut, Provenance, Source, SourceRow, check_unchanged
from sitenet.data.structures.jarvis_atoms import from_atoms_dict
from sitenet.data.targets import TargetColumns
from sitenet.errors import UserError
from sitenet.files import sha256_of

log = logging.getLogger(__name__)
# `dft_3d_2021` of jarvis-tools, whose size fits the 55,713 crystals that the leaderboard states; `dft_3d` is newer.
DATA_FILE = "jdft_3d-8-18-2021.json.zip"
DATA_URL = "https://ndownloader.figshare.com/files/29204826"
# At a fixed commit, so that the files never change.
COMMIT = "57afc55f94c8a6f4562f73a3173968cd4b2f83b1"
SPLITS_URL = (
    f"https://raw.githubusercontent.com/usnistgov/jarvis_leaderboard/{COMMIT}/"
    "jarvis_leaderboard/benchmarks/AI/SinglePropertyPrediction"
)
PARTS = ("train", "val", "test")
MISSING = ("na", None)
CHUNK = 1 << 22
BETWEEN = re.compile(r"[\s,]*")
DIFFERENT = 1e-4  # of two targets, in their unit: far below what is printed, far above rounding
Splits = dict[str, dict[str, float]]


def download_jarvis(
    name: str, mirror: str | None, sha256: str | None, splits_sha256: str | None, folder: Path
) -> Download:
    """Brings the files of crystals and splits into `folder`; files that are there are checked and kept.

    Args:
        name: Name of the task.
        mirror: Folder or URL that holds both files, in place of the official hosts.
        sha256: Checksum of the file of crystals, if the user states it.
        splits_sha256: Checksum of the file of splits, if the user states it.
        folder: Where the files go.

    Raises:
        UserError: A file cannot be had, or its checksum is not the stated one.
    """
    splits_file = f"{name}.json.zip"
    crystals = _obtain(DATA_URL, folder / DATA_FILE, mirror, sha256, KEY)
    splits_key = "dataset.expected_splits_sha256"
    splits = _obtain(f"{SPLITS_URL}/{splits_file}", folder / splits_file, mirror, splits_sha256, splits_key)
    return crystals.model_copy(update={"splits": splits})


def _obtain(url: str, path: Path, mirror: str | None, sha256: str | None, key: str) -> Download:
    if not path.exists():
        fetch(f"{mirror.rstrip('/')}/{path.name}" if mirror else url, path, sha256, key)
    elif sha256:
        check_sha256(path, sha256, str(path), key)
    found = sha256 or sha256_of(path)
    if sha256 is None:
        log.warning("%s has the SHA-256 %s, which nothing was compared with: state it as %s", path, found, key)
    return Download(path=str(path), sha256=found)


def open_jarvis(column: str, download: Download, others: tuple[str, ...] = ()) -> Source:
    """Opens the file of crystals; records without any target are left out.

    Args:
        column: Key of the target in the records.
        download: The files.
        others: Keys of further targets.
    """
    provenance = Provenance(
        version=f"JARVIS-DFT 3D, {DATA_FILE}; splits of jarvis_leaderboard at commit {COMMIT}",
        url=DATA_URL,
        sha256=download.sha256,
        licence="data of NIST, in the public domain in the United States; terms at doi:10.6084/m9.figshare.6815699",
        citation=(
            "Choudhary et al., npj Comput. Mater. 6, 173 (2020), doi:10.1038/s41524-020-00440-1; "
            "Choudhary et al., npj Comput. Mater. 10, 93 (2024), doi:10.1038/s41524-024-01259-w"
        ),
    )
    return Source(provenance, _rows(Path(download.path), column, others, read_splits(download)))


def read_splits(download: Download) -> Splits:
    """Targets of each part of the official splits, by id.

    Raises:
        UserError: The file is missing, damaged, not what was downloaded, or no such file.
    """
    path = Path(check_unchanged(download.splits, "download").path)
    with _member(path) as file:
        content = json.load(file)
    try:
        return {part: {id_: float(target) for id_, target in content[part].items()} for part in PARTS}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UserError(
            f"{path} is no file of splits: it needs {', '.join(PARTS)}, each with ids and targets"
        ) from None


@contextmanager
def _member(path: Path) -> Iterator[IO[bytes]]:
    """Opens the file in a zip archive that has the archive's name without `.zip`.

    Raises:
        UserError: The archive is damaged, lacks the file, or the file is no JSON.
    """
    name = path.name.removesuffix(".zip")
    try:
        with zipfile.ZipFile(path) as archive:
            if name not in archive.namelist():
                raise UserError(f"{path} lacks '{name}'; it holds {', '.join(archive.namelist()[:5]) or 'nothing'}")
            with archive.open(name) as file:
                yield file
    except UserError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path} is damaged: {str(error).splitlines()[0]}; remove it and run again with `--forcerun download`"
        ) from None


def _rows(path: Path, column: str, others: tuple[str, ...], splits: Splits) -> Iterator[SourceRow | LeftOut]:
    targets: dict[str, float] = {}
    left_out = number = 0
    with _member(path) as file:
        for number, record in enumerate(_records(file), start=1):
            row = _row(number, record, column, others)
            if isinstance(row, LeftOut):
                left_out += 1
            elif row.target is not None:
                targets[row.id] = row.target
            yield row
    if left_out == number:
        raise UserError(f"{path} has no '{column}' in any of its {number} records")
    log.info("%s: %d of %d records have no %s and are left out", path, left_out, number, column)
    _compare(targets, splits)


def _records(file: IO[bytes]) -> Iterator[Any]:
    """Elements of a JSON list, one by one.

    Python's own writer made the file. It may hold NaN in place of a number, which other readers of streams refuse.
    """
    reader, decoder, number = io.TextIOWrapper(file, encoding="utf-8"), json.JSONDecoder(), 0
    text = reader.read(CHUNK).lstrip()
    if not text.startswith("["):
        raise ValueError("it holds no JSON list")
    place = 1
    while True:
        place = BETWEEN.match(text, place).end()  # type: ignore[union-attr] # matches nothing, too
        if text.startswith("]", place):
            break
        try:
            record, place = decoder.raw_decode(text, place)
        except ValueError:
            more = reader.read(max(CHUNK, len(text)))
            if not more:
                raise ValueError(f"its JSON breaks off after {number} records") from None
            text, place = text[place:] + more, 0
            continue
        number += 1
        yield record
    if (text[place + 1 :] + reader.read(CHUNK)).strip():
        raise ValueError(f"something follows its list of {number} records")


def _row(number: int, record: Any, column: str, others: tuple[str, ...]) -> SourceRow | LeftOut:
    """The row of a record, counted from 1."""
    if not isinstance(record, dict) or not isinstance(record.get("jid"), str):
        return SourceRow(f"record {number}", BadCrystal("unreadable: the record has no jid"), None)
    id_ = record["jid"]
    known = {name: record[name] for name in (column, *others) if record.get(name) not in MISSING}
    if not known:
        return LeftOut(id_)
    try:
        target, beside = TargetColumns(others=others).read(known | {"target": known.get(column)})
    except BadCrystal as reason:
        return SourceRow(id_, reason, None)
    try:
        return SourceRow(id_, from_atoms_dict(id_, record.get("atoms")), target, others=beside)
    except BadCrystal as reason:
        return SourceRow(id_, reason, target)


def _compare(targets: Mapping[str, float], splits: Splits) -> None:
    """Tells in one line what the records with a target and the official splits do not have in common."""
    published = {id_: target for part in PARTS for id_, target in splits[part].items()}
    groups = {
        "ids of the splits without a target in the data": [id_ for id_ in published if id_ not in targets],
        "crystals with a target, but in no part": [id_ for id_ in targets if id_ not in published],
        "targets that are not those of the splits": [
            id_ for id_, target in published.items() if not abs(target - targets.get(id_, target)) <= DIFFERENT
        ],
    }
    found = [f"{what}: {len(ids)} ({_shown(ids)})" for what, ids in groups.items() if ids]
    if found:
        log.warning("data and official splits differ: %s", "; ".join(found))


def _shown(ids: list[str]) -> str:
    return ", ".join(ids[:3]) + (", ..." if len(ids) > 3 else "")
