"""Featurizes a crystal table in shards, and checks that the shards are complete and intact."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.table import CrystalTable
from sitenet.errors import UserError, plain
from sitenet.failures import Failure, read_failures, write_failures
from sitenet.features.descriptors.shard import read_descriptors
from sitenet.features.descriptors.site_descriptors import SiteDescriptors
from sitenet.features.featurize import featurize
from sitenet.features.point_set import PointSet
from sitenet.features.progress import with_progress
from sitenet.features.store import (
    CHANGED,
    REMEDY,
    FeatureStore,
    ShardManifest,
    failures_path,
    verify_shard,
    write_shard,
)
from sitenet.files import sha256_of
from sitenet.records import FileRecord
from sitenet.settings.descriptors import DESCRIPTORS
from sitenet.settings.features import FeatureSettings

logger = logging.getLogger("sitenet")


class FeatureManifest(FileRecord):
    """Summary of all shards of a feature set.

    Attributes:
        crystals: Number of featurized crystals.
        failures: Number of crystals that could not be featurized, by kind of failure.
        changed: Number of crystals in which the primitive cell averages away a distortion of more than 0.02 angstrom.
        pairs: Number of reduced pairs of all crystals.
        bytes: Size of all shards.
        sha256: Checksum of each shard by file name.
    """

    crystals: int
    failures: dict[str, int]
    changed: int
    pairs: int
    bytes: int
    sha256: dict[str, str]


def featurize_shard(
    table: CrystalTable,
    settings: FeatureSettings,
    shard: int,
    n_shards: int,
    out: Path,
    described: Path | None = None,
) -> ShardManifest:
    """Featurizes one of `n_shards` contiguous ranges of a crystal table.

    Together the shards have the crystals in table order, whatever their number. Crystals that cannot be used are
    listed in the failures table (`failures_path(out)`). The manifest (`manifest_path(out)`) is written last.

    Args:
        table: Crystal table.
        settings: Feature settings.
        shard: Number of the shard, from 0.
        n_shards: Number of shards.
        out: Shard file to write.
        described: Descriptors of the same range (`describe_shard`); None computes them where the settings ask for them.

    Raises:
        UserError: A file cannot be written.
    """
    start = len(table) * shard // n_shards
    stop = len(table) * (shard + 1) // n_shards
    rows = with_progress(table.crystals(start, stop), stop - start, f"shard {shard} of {n_shards}")
    results = _featurized(rows, settings) if described is None else _with_descriptors(rows, settings, described)
    manifest = write_shard(out, results, settings)
    if manifest.failures:
        logger.warning("%d crystals cannot be used; the reasons are in %s", manifest.failures, failures_path(out))
    return manifest


def _featurized(crystals: Iterable[Crystal], settings: FeatureSettings) -> Iterator[PointSet | Failure]:
    for crystal in crystals:
        yield _featurize(crystal, settings, None)


def _with_descriptors(
    crystals: Iterable[Crystal], settings: FeatureSettings, described: Path
) -> Iterator[PointSet | Failure]:
    assert settings.descriptor is not None
    found = read_descriptors(described, DESCRIPTORS[settings.descriptor].width)
    for crystal, (id_, descriptors) in zip(crystals, found, strict=True):
        if crystal.id != id_:
            raise UserError(f"descriptors {described} are of other crystals; delete the file and run again")
        if isinstance(descriptors, str):
            yield Failure(crystal.id, "features", descriptors)
        else:
            yield _featurize(crystal, settings, descriptors)


def _featurize(crystal: Crystal, settings: FeatureSettings, described: SiteDescriptors | None) -> PointSet | Failure:
    try:
        return featurize(crystal, settings, described)
    except BadCrystal as reason:
        return Failure(crystal.id, "features", str(reason))
    except Exception as error:  # an unexpected error in one crystal must not stop the others
        logger.warning("crystal %s could not be featurized", crystal.id, exc_info=True)
        return Failure(crystal.id, "features", plain(f"unexpected error: {type(error).__name__}: {error}"))


def collect(shards: Sequence[Path], n_crystals: int, max_failed_share: float, failures_out: Path) -> FeatureManifest:
    """Verifies every shard and joins their failures tables into one.

    Args:
        shards: The shard files.
        n_crystals: Number of crystals in the featurized table.
        max_failed_share: Largest acceptable fraction of crystals that cannot be featurized.
        failures_out: Failures table to write.

    Raises:
        UserError: Shards are missing, truncated or altered (the message names them), crystals are missing, or
            a larger fraction than `max_failed_share` failed.
    """
    manifests = _verified(shards)
    failures = [failure for shard in shards for failure in read_failures(failures_path(shard))]
    write_failures(failures_out, failures)
    crystals = sum(manifest.crystals for manifest in manifests)
    if crystals + len(failures) != n_crystals:
        raise UserError(
            f"{', '.join(map(str, shards))} have {crystals} crystals and {len(failures)} failures, but the crystal "
            f"table has {n_crystals} rows; delete the folder {shards[0].parent} and run again"
        )
    if len(failures) > max_failed_share * n_crystals:
        raise UserError(
            f"{len(failures)} of {n_crystals} crystals cannot be featurized, more than "
            f"dataset.max_failed_share = {max_failed_share:g} allows; "
            f"the reasons are in {', '.join(str(failures_path(shard)) for shard in shards)}"
        )
    changed = sum(manifest.changed for manifest in manifests)
    if changed:
        logger.info("%d crystals changed by more than %g angstrom in the search for primitive cells", changed, CHANGED)
    return FeatureManifest(
        crystals=crystals,
        failures=dict(Counter(failure.kind for failure in failures)),
        changed=changed,
        pairs=sum(manifest.pairs for manifest in manifests),
        bytes=sum(manifest.bytes for manifest in manifests),
        sha256={shard.name: manifest.sha256 for shard, manifest in zip(shards, manifests, strict=True)},
    )


def open_features(manifest: Path, shards: Sequence[Path]) -> FeatureStore:
    """The feature store of a job; every shard is read once and compared with the set's manifest.

    Raises:
        UserError: A shard is missing, damaged or of another feature set.
    """
    sums = FeatureManifest.read(manifest).sha256
    for shard in shards:
        if not shard.exists() or sha256_of(shard) != sums.get(shard.name):
            raise UserError(f"feature shard {shard} is missing, damaged or changed: {REMEDY.format(shard.parent)}")
    return FeatureStore(shards)


def _verified(shards: Iterable[Path]) -> list[ShardManifest]:
    manifests, problems = [], []
    for shard in shards:
        try:
            manifests.append(verify_shard(shard))
        except UserError as problem:
            problems.append(str(problem))
    if problems:
        raise UserError("; ".join(problems))
    return manifests
