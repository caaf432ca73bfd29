"""Turns any data source into the files of a data set: structures, targets, failures and manifest."""

import hashlib
import logging
import math
import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sitenet.data.crystal import BadCrystal, Crystal, check_crystal
from sitenet.data.formula import reduced_formula
from sitenet.data.manifest import Counts, Download, Manifest, OtherTarget, TargetRange
from sitenet.data.sources import DatasetSettings
from sitenet.data.sources.base import LeftOut, Source, SourceRow, Target
from sitenet.data.table import copy_rows, write_crystals
from sitenet.data.targets import named
from sitenet.errors import UserError, plain
from sitenet.failures import Failure, write_failures
from sitenet.files import replacing, sha256_of

log = logging.getLogger(__name__)
PROGRESS_EVERY = 10_000
MAX_TARGET = 1e15  # networks compute in 32 bits, where the squares of larger ones overflow
Targets = dict[str, float | None]


@dataclass
class _Rows:
    """What became of the rows that were read so far.

    Attributes:
        ids: How often each id occurred.
        targets: Targets of the valid crystals by id.
        others: The same of each further target, by its name.
        groups: Groups of the valid crystals by id.
        own_files: The user's files of the valid crystals by id; empty for other data.
        failures: Rows that cannot be used.
    """

    ids: Counter[str] = field(default_factory=Counter)
    targets: Targets = field(default_factory=dict)
    others: dict[str, Targets] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    own_files: dict[str, str] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def read(self, source: Source, settings: DatasetSettings) -> Iterator[Crystal]:
        """Yields the valid crystals of a source and records every row here, so that no structure stays in memory."""
        for row in source.rows:
            id_ = plain(row.id)
            self.ids[id_] += 1
            if isinstance(row, LeftOut):
                continue
            try:
                crystal = _checked(row, settings)
            except BadCrystal as reason:
                self.failures.append(Failure(id_, "data", plain(" ".join(str(reason).split()))))
                continue
            self.targets[row.id] = _number(row.target)
            for other in settings.others:
                self.others.setdefault(other.name, {})[row.id] = _number(row.others.get(other.name))
            self.groups[row.id] = reduced_formula(crystal.atomic_numbers) if row.group is None else row.group
            if row.file is not None:
                self.own_files[row.id] = row.file
            if len(self.targets) % PROGRESS_EVERY == 0:
                log.info("%s: %d crystals read", settings.name, len(self.targets))
            yield crystal


def load_dataset(settings: DatasetSettings, out_dir: Path | str, download: Download | None = None) -> Manifest:
    """Writes `structures.parquet`, `targets.parquet`, `failures.csv` and `manifest.json`.

    `targets.parquet` has the columns id, target (null: unlabelled) and group: the reduced formula, or what
    the source says belongs together. For the user's own files it also has the column file, and for each further
    target a column of its name.

    Rows that cannot be used are listed in `failures.csv` with their reason: unreadable, empty, disordered
    and too large structures, unusable targets, and every row whose id occurs more than once, since nothing
    says which of them is right.

    Args:
        settings: The data set.
        out_dir: Folder of the files.
        download: What `download_dataset` fetched, for sources that need it.

    Raises:
        UserError: No crystal is valid, or a larger fraction than `max_failed_share` is not; the failures are then
            listed in `unusable.csv`. Or no crystal has one of the further targets.
    """
    out, rows = Path(out_dir), _Rows()
    out.mkdir(parents=True, exist_ok=True)
    source = settings.open(download)
    with replacing(out / "structures.parquet") as structures:
        write_crystals(structures, rows.read(source, settings))
        n_written = len(rows.targets)
        _reject_duplicates(rows)
        _stop_above_share(settings, rows, out / "unusable.csv")
        kept = _choose(rows.targets, settings)
        if len(kept) < n_written:
            with replacing(structures) as subset:
                copy_rows(structures, subset, kept)
        checksum = sha256_of(structures)
    _require_both_classes(settings, kept)
    _keep_others(settings, rows, kept)
    _write_targets(out / "targets.parquet", kept, rows)
    write_failures(out / "failures.csv", rows.failures)
    manifest = _manifest(settings, source, rows, kept, checksum)
    log.info("%s", manifest.describe_targets())
    return manifest.write(out / "manifest.json", files=("structures.parquet", "targets.parquet", "failures.csv"))


def _checked(row: SourceRow, settings: DatasetSettings) -> Crystal:
    """The crystal of a row; raises BadCrystal with the reason if it is not valid."""
    if isinstance(row.crystal, BadCrystal):
        raise row.crystal
    if plain(row.id) != row.id or {"\t", "\n"} & set(row.id):
        raise BadCrystal("bad id: it has control characters, or is not UTF-8")
    check_crystal(row.crystal, settings.max_sites)
    _check_target(row.target, Target(settings.target, settings.unit, settings.non_negative, settings.task_name))
    for other in settings.others:
        with named(other.name):
            _check_target(row.others.get(other.name), other)
    return row.crystal


def _check_target(value: float | None, target: Target) -> None:
    """Raises BadCrystal with the reason if a value is known and cannot be used."""
    if value is None:
        return
    if isinstance(value, bool) and target.task != "classification":
        raise BadCrystal(f"bad target: {value} is a class: set dataset.task to classification")
    if not (isinstance(value, int | float) and math.isfinite(value)):
        raise BadCrystal(f"bad target: {value} is not a finite number")
    if abs(value) > MAX_TARGET:
        raise BadCrystal(f"bad target: {value} is larger than {MAX_TARGET:g}; use another unit or a logarithm")
    if target.task == "classification" and value not in (0, 1):
        raise BadCrystal(f"bad target: {value} is no class, which is true or false, or 1 or 0")
    if target.non_negative and value < 0:
        raise BadCrystal(f"bad target: {value} is negative, but {target.name} is non-negative")


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def _reject_duplicates(rows: _Rows) -> None:
    """Turns the valid rows of every repeated id into failures, one for each row."""
    failed = Counter(failure.id for failure in rows.failures)
    for id_, n in rows.ids.items():
        if n > 1:
            rows.targets.pop(id_, None)
            rows.failures += [Failure(id_, "data", f"duplicate id: {n} rows have it")] * (n - failed[id_])


def _stop_above_share(settings: DatasetSettings, rows: _Rows, path: Path) -> None:
    """Lists the failures at `path` if there are too many of them; a workflow removes its declared outputs."""
    path.unlink(missing_ok=True)
    n_failed, n_rows = len(rows.failures), rows.ids.total()
    if n_failed < n_rows and n_failed <= settings.max_failed_share * n_rows:
        return
    write_failures(path, rows.failures)
    raise UserError(
        f"data set '{settings.name}': {n_failed} of {n_rows} crystals cannot be used "
        f"({_by_kind(rows)}), while dataset.max_failed_share is {settings.max_failed_share:g}; see {path}"
    )


def _require_both_classes(settings: DatasetSettings, kept: Targets) -> None:
    found = {target for target in kept.values() if target is not None}
    if settings.task_name == "classification" and len(found) < 2:
        only = f"all are {found.pop():g}" if found else "none is known"
        raise UserError(f"data set '{settings.name}': a classification needs targets of both classes, and {only}")


def _by_kind(rows: _Rows) -> str:
    return ", ".join(f"{n} {kind}" for kind, n in _kinds(rows).items()) or "there is none"


def _kinds(rows: _Rows) -> dict[str, int]:
    return dict(Counter(failure.kind for failure in rows.failures))


def _choose(targets: Targets, settings: DatasetSettings) -> Targets:
    """A random subset, in the order of the data set; smaller ones are nested in larger ones."""
    if settings.max_crystals is None:
        return targets

    def rank(id_: str) -> bytes:
        return hashlib.sha256(f"{settings.subset_seed}/{id_}".encode()).digest()

    chosen = set(sorted(targets, key=rank)[: settings.max_crystals])
    return {id_: target for id_, target in targets.items() if id_ in chosen}


def _keep_others(settings: DatasetSettings, rows: _Rows, kept: Targets) -> None:
    """Drops the further targets of crystals that are not kept; a target that no crystal has is an error."""
    if rows.others and not _known(kept):
        raise UserError(f"data set '{settings.name}': no crystal has the target '{settings.target}'")
    for name, values in rows.others.items():
        rows.others[name] = {id_: values[id_] for id_ in kept}
        if not _known(rows.others[name]):
            raise UserError(f"data set '{settings.name}': no crystal has the other target '{name}'")


def _write_targets(path: Path, kept: Targets, rows: _Rows) -> None:
    columns = {
        "id": pa.array(kept, pa.string()),
        "target": pa.array(kept.values(), pa.float64()),
        "group": pa.array(map(rows.groups.get, kept), pa.string()),
    }
    if rows.own_files:
        columns["file"] = pa.array(map(rows.own_files.get, kept), pa.string())
    columns |= {name: pa.array(values.values(), pa.float64()) for name, values in rows.others.items()}
    with replacing(path) as temporary:
        pq.write_table(pa.table(columns), temporary)


def _known(targets: Targets) -> list[float]:
    return [target for target in targets.values() if target is not None]


def _range(kept: Targets) -> TargetRange | None:
    targets = _known(kept)
    if not targets:
        return None
    return TargetRange(smallest=min(targets), median=statistics.median(targets), largest=max(targets))


def _positives(kept: Targets) -> int:
    return sum(target == 1 for target in kept.values())


def _manifest(
    settings: DatasetSettings, source: Source, rows: _Rows, kept: Targets, structures_sha256: str
) -> Manifest:
    n_rows, n_failed = rows.ids.total(), len(rows.failures)
    limits = {"max_sites": settings.max_sites, "max_crystals": settings.max_crystals}
    return Manifest(
        name=settings.name,
        source=settings.source,
        **vars(source.provenance),
        target=settings.target,
        unit=settings.unit,
        non_negative=settings.non_negative,
        task=settings.task_name,
        counts=Counts(
            rows=n_rows,
            kept=len(kept),
            failed=n_failed,
            left_out=n_rows - n_failed - len(kept),
            unlabelled=sum(target is None for target in kept.values()),
        ),
        targets=_range(kept) if settings.task_name == "regression" else None,
        positives=_positives(kept) if settings.task_name == "classification" else None,
        other_targets=tuple(
            OtherTarget(name=other.name, unit=other.unit, known=len(_known(rows.others[other.name])))
            for other in settings.others
        ),
        filters={name: limit for name, limit in limits.items() if limit is not None},
        failures=_kinds(rows),
        structures_sha256=structures_sha256,
    )
