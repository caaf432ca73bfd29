"""Columnar files of point sets (shards), memory-mapped by every training job (Arrow IPC, uncompressed)."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sitenet.errors import UserError
from sitenet.failures import Failure, write_failures
from sitenet.features.point_set import PointSet
from sitenet.files import replacing, sha256_of
from sitenet.records import FileRecord
from sitenet.settings.features import FeatureSettings

LISTS = {
    "site_class": pa.uint16(),
    "atomic_numbers": pa.uint8(),
    "site_counts": pa.uint16(),
    "row_counts": pa.uint16(),
    "pair_sites": pa.uint16(),
    "pair_counts": pa.uint16(),
    "distances": pa.float32(),
}
# Only in shards of features that have them, row after row. In half precision, predictions would depend on how a crystal
# is turned.
OPTIONAL = {"moments": pa.float32(), "descriptors": pa.float32()}
# Angstrom: crystals in which the primitive cell averages away larger distortions are counted.
CHANGED = 0.02
# Limits the writer's memory; readers do not depend on where record batches end.
PAIRS_PER_BATCH = 1_000_000
_PLAIN = FeatureSettings()
REMEDY = "delete the folder {} and run again"


class ShardManifest(FileRecord):
    """Summary of a complete shard, in a JSON file beside it.

    Attributes:
        crystals: Number of crystals in the shard.
        failures: Number of crystals in its failures table.
        changed: Crystals whose distortion, averaged away in the primitive cell, is larger than `CHANGED`.
        pairs: Number of reduced pairs.
        bytes: Size of the shard file.
        sha256: Checksum of the shard file, hexadecimal.
    """

    crystals: int
    failures: int
    changed: int
    pairs: int
    bytes: int
    sha256: str


def manifest_path(shard: Path) -> Path:
    """Path of a shard's manifest."""
    return shard.with_suffix(".json")


def failures_path(shard: Path) -> Path:
    """Path of a shard's failures table (CSV: id, stage, reason)."""
    return shard.with_suffix(".failures.csv")


def schema(lists: Mapping[str, pa.DataType]) -> pa.Schema:
    """Columns of a shard with these lists."""
    plain = [("id", pa.string()), ("n_images", pa.uint16()), ("distortion", pa.float64())]
    return pa.schema(plain + [(name, pa.list_(kind)) for name, kind in lists.items()])


def write_shard(
    path: Path | str, results: Iterable[PointSet | Failure], settings: FeatureSettings = _PLAIN
) -> ShardManifest:
    """Writes a shard, its failures table and, last, its manifest; each replaces an old file in one step.

    Args:
        path: The shard file.
        results: Featurized and failed crystals in table order.
        settings: Settings of the features.

    Raises:
        UserError: A file cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    manifest_path(path).unlink(missing_ok=True)
    failures: list[Failure] = []
    crystals = changed = pairs = 0
    has = {"moments": settings.moments > 0, "descriptors": settings.descriptor is not None}
    lists = LISTS | {name: kind for name, kind in OPTIONAL.items() if has[name]}
    with replacing(path) as temporary, pa.ipc.new_file(str(temporary), schema(lists)) as writer:
        group: list[PointSet] = []
        group_pairs = 0
        for result in results:
            if isinstance(result, Failure):
                failures.append(result)
                continue
            group.append(result)
            group_pairs += len(result.distances)
            crystals += 1
            changed += result.distortion > CHANGED
            pairs += len(result.distances)
            if group_pairs >= PAIRS_PER_BATCH:
                writer.write_batch(_record_batch(group, lists))
                group, group_pairs = [], 0
        if group:
            writer.write_batch(_record_batch(group, lists))
    write_failures(failures_path(path), failures)
    manifest = ShardManifest(
        crystals=crystals,
        failures=len(failures),
        changed=changed,
        pairs=pairs,
        bytes=path.stat().st_size,
        sha256=sha256_of(path),
    )
    manifest.write(manifest_path(path), files=[failures_path(path).name])
    return manifest


def _record_batch(point_sets: Sequence[PointSet], lists: Mapping[str, pa.DataType]) -> pa.RecordBatch:
    columns = [
        pa.array([point_set.id for point_set in point_sets], pa.string()),
        pa.array([point_set.n_images for point_set in point_sets], pa.uint16()),
        pa.array([point_set.distortion for point_set in point_sets], pa.float64()),
    ]
    for name, kind in lists.items():
        arrays = [getattr(point_set, name).ravel() for point_set in point_sets]
        offsets = np.cumsum([0, *map(len, arrays)], dtype=np.int32)
        values = np.concatenate(arrays, dtype=kind.to_pandas_dtype(), casting="unsafe")
        columns.append(pa.ListArray.from_arrays(pa.array(offsets), pa.array(values)))
    return pa.record_batch(columns, schema=schema(lists))


def check_length(shard: Path) -> ShardManifest:
    """Compares the size of a shard with its manifest, which detects truncation without reading the shard.

    Raises:
        UserError: They differ, or one is missing; the message names the shard.
    """
    for path in (shard, manifest_path(shard)):
        if not path.exists():
            raise UserError(
                f"feature shard {shard} is incomplete: {path.name} is missing; {REMEDY.format(shard.parent)}"
            )
    manifest, length = ShardManifest.read(manifest_path(shard)), shard.stat().st_size
    if length != manifest.bytes:
        raise UserError(
            f"feature shard {shard} is damaged: {length:,} bytes instead of {manifest.bytes:,}; "
            f"{REMEDY.format(shard.parent)}"
        )
    return manifest


def verify_shard(shard: Path) -> ShardManifest:
    """Compares a shard and its failures table with its manifest; reads all of them.

    Raises:
        UserError: They differ, or a file is missing; the message names the shard.
    """
    manifest = check_length(shard)
    manifest.check(manifest_path(shard), [failures_path(shard).name])
    if sha256_of(shard) != manifest.sha256:
        raise UserError(
            f"feature shard {shard} is damaged: its SHA-256 differs from its manifest's; {REMEDY.format(shard.parent)}"
        )
    return manifest


class FeatureStore:
    """Read-only view of all crystals in some shards, in their order.

    Attributes:
        ids: Identifiers of the N crystals.
        n_pairs: (N,) reduced pairs of each crystal.
    """

    def __init__(self, paths: Iterable[Path | str]):
        """Maps the shards; pairs stay on disk until their crystal is read.

        Raises:
            UserError: A shard is incomplete or truncated, or an id occurs twice.
        """
        self._paths = [Path(path) for path in paths]
        batches = [batch for path in self._paths for batch in _map_batches(path)]
        self._ends = np.cumsum([batch.num_rows for batch in batches], dtype=np.int64)
        lists = [[name for name in LISTS | OPTIONAL if name in batch.schema.names] for batch in batches]
        self._lists = [
            {name: _list_views(batch, name) for name in names} for batch, names in zip(batches, lists, strict=True)
        ]
        self._n_images = _joined(batch["n_images"].to_numpy() for batch in batches)
        self._distortions = [float(value) for batch in batches for value in batch["distortion"].to_numpy()]
        self.ids: list[str] = [id_ for batch in batches for id_ in batch["id"].to_pylist()]
        self.n_pairs = self._lengths("distances")
        self._index = {id_: index for index, id_ in enumerate(self.ids)}
        repeated = len(self.ids) - len(self._index)
        if repeated:
            raise UserError(f"{repeated} ids occur more than once in {', '.join(map(str, self._paths))}")

    def __reduce__(self) -> tuple[type["FeatureStore"], tuple[list[Path]]]:
        """Pickles the paths instead of the content, so that another process maps the same files."""
        return FeatureStore, (self._paths,)

    def __len__(self) -> int:
        """Number of crystals."""
        return len(self.ids)

    def has(self, ids: Sequence[str]) -> NDArray[np.bool_]:
        """(C,) whether each crystal is in the store."""
        return np.array([id_ in self._index for id_ in ids], dtype=bool)

    def indices_of(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """(C,) position of each crystal.

        Raises:
            KeyError: One is not in the store.
        """
        return np.array([self._index[id_] for id_ in ids], dtype=np.int64)

    def __getitem__(self, index: int) -> PointSet:
        """The point set at `index`; its arrays are read-only views of the mapped file."""
        if not 0 <= index < len(self):
            raise IndexError(f"crystal {index} of a store of {len(self)}")
        batch = int(np.searchsorted(self._ends, index, side="right"))
        row = index - (int(self._ends[batch - 1]) if batch else 0)
        arrays = {
            name: values[offsets[row] : offsets[row + 1]] for name, (offsets, values) in self._lists[batch].items()
        }
        for name, of in (("moments", "distances"), ("descriptors", "atomic_numbers")):
            arrays[name] = arrays.get(name, np.empty(0, np.float32)).reshape(len(arrays[of]), -1)
        n_images, distortion = int(self._n_images[index]), self._distortions[index]
        return PointSet(id=self.ids[index], n_images=n_images, distortion=distortion, **arrays)

    def _lengths(self, name: str) -> NDArray[np.int64]:
        return _joined(np.diff(lists[name][0]) for lists in self._lists)


def _joined(parts: Iterable[NDArray[np.integer]]) -> NDArray[np.int64]:
    return np.concatenate([np.empty(0, dtype=np.int64), *parts])


def _map_batches(path: Path) -> list[pa.RecordBatch]:
    check_length(path)
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    return [reader.get_batch(number) for number in range(reader.num_record_batches)]


def _list_views(batch: pa.RecordBatch, name: str) -> tuple[NDArray, NDArray]:
    """Offsets and values of a list column, without a copy."""
    column = batch[name]
    return column.offsets.to_numpy(), column.values.to_numpy()
