"""Featurizing a crystal table in shards, and checking that together they are complete and intact."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sitenet.config.features import FeatureSettings
from sitenet.data.crystal import BadCrystal, Crystal
from sitenet.data.table import CrystalTable
from sitenet.errors import UserError, plain
from sitenet.features.featurize import featurize
from sitenet.features.point_set import PointSet
from sitenet.features.progress import with_progress
from sitenet.features.store import (
    CHANGED,
    Failure,
    ShardManifest,
    failures_path,
    read_failures,
    verify_shard,
    write_failures,
    write_shard,
)
from sitenet.records import Record

logger = logging.getLogger("sitenet")


class FeatureManifest(Record):
    """What the shards of a feature set hold together.

    Attributes:
        crystals: Featurized crystals.
        failures: Crystals that could not be featurized, by kind.
        changed: Crystals in which the primitive cell averages away a distortion of more than 0.02 angstrom.
        pairs: Reduced pairs of all crystals.
        bytes: Length of all shards.
        sha256: Checksum of each shard by file name.
    """

    crystals: int
    failures: dict[str, int]
    changed: int
    pairs: int
    bytes: int
    sha256: dict[str, str]


def featurize_shard(
    table: CrystalTable, settings: FeatureSettings, shard: int, n_shards: int, out: Path
) -> ShardManifest:
    """Featurizes one of `n_shards` contiguous ranges of a crystal table.

    Shards one after the other hold the crystals in table order, whatever their number. Crystals that cannot
    be used go to the failures table (`failures_path(out)`); the manifest (`manifest_path(out)`) comes last.

    Args:
        table: Crystal table.
        settings: Feature settings.
        shard: Number of the shard, from 0.
        n_shards: Number of shards.
        out: Shard file to write.

    Raises:
        UserError: A file cannot be written.
    """
    start, stop = (len(table) * number // n_shards for number in (shard, shard + 1))
    rows = with_progress(table.crystals(start, stop), stop - start, f"shard {shard} of {n_shards}")
    manifest = write_shard(out, _featurized(rows, settings))
    if manifest.failures:
        logger.warning("%d crystals cannot be used; reasons: %s", manifest.failures, failures_path(out))
    return manifest


def _featurized(crystals: Iterable[Crystal], settings: FeatureSettings) -> Iterator[PointSet | Failure]:
    for crystal in crystals:
        try:
            yield featurize(crystal, settings)
        except BadCrystal as reason:
            yield Failure(crystal.id, str(reason))
        except Exception as error:  # whatever one crystal brings about must not cost the others
            logger.warning("crystal %s could not be featurized", crystal.id, exc_info=True)
            yield Failure(crystal.id, plain(f"unexpected error: {type(error).__name__}: {error}"))


def collect(shards: Sequence[Path], n_crystals: int, max_failed_share: float, failures_out: Path) -> FeatureManifest:
    """Verifies every shard and joins their failures tables into one.

    Args:
        shards: The shard files.
        n_crystals: Crystals in the table that they were made from.
        max_failed_share: Largest acceptable share of crystals that cannot be featurized.
        failures_out: Failures table to write.

    Raises:
        UserError: A shard is missing, truncated or altered (all such are named), crystals are missing, or
            more than `max_failed_share` of them failed.
    """
    manifests = _verified(shards)
    failures = [failure for shard in shards for failure in read_failures(failures_path(shard))]
    write_failures(failures_out, failures)
    crystals = sum(manifest.crystals for manifest in manifests)
    if crystals + len(failures) != n_crystals:
        raise UserError(
            f"{', '.join(map(str, shards))} hold {crystals} crystals and {len(failures)} failures "
            f"of a table of {n_crystals}; delete the folder {shards[0].parent} and run again"
        )
    if len(failures) > max_failed_share * n_crystals:
        raise UserError(
            f"{len(failures)} of {n_crystals} crystals cannot be featurized, more than "
            f"dataset.max_failed_share = {max_failed_share:g} allows; "
            f"reasons: {', '.join(str(failures_path(shard)) for shard in shards)}"
        )
    changed = sum(manifest.changed for manifest in manifests)
    if changed:
        logger.info("%d crystals changed by more than %g angstrom in the search for primitive cells", changed, CHANGED)
    return FeatureManifest(
        crystals=crystals,
        failures=dict(Counter(failure.reason.partition(":")[0] for failure in failures)),
        changed=changed,
        pairs=sum(manifest.pairs for manifest in manifests),
        bytes=sum(manifest.bytes for manifest in manifests),
        sha256={shard.name: manifest.sha256 for shard, manifest in zip(shards, manifests, strict=True)},
    )


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
