"""What the analysis of one run leaves behind: a record, and tables beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pandas as pd

from sitenet.files import replacing
from sitenet.records import FileRecord, RunKey, require_run

FILE = "attention.json"
STEP = 0.25  # bins of distance, in angstrom
LOG_STEP = 0.2  # bins of log10(weight)
TABLES = ("heads", "profiles", "maps", "crystals", "predictions")


class AttentionRecord(FileRecord):
    """Which run was analysed, and how.

    Attributes:
        key: The run.
        cutoffs: Distances beyond which pairs were left out, in angstrom.
        n_crystals: Number of analysed test crystals.
        reach: Longest distance of a pair that the network sees in them, in angstrom.
    """

    key: RunKey
    cutoffs: tuple[float, ...]
    n_crystals: int
    reach: float


@dataclass(frozen=True)
class AttentionOfRun:
    """The analysis of one run; without attention in the network, all tables but `predictions` are empty.

    Blocks and heads are numbered from 1. Weights are those of single sites: merged pairs count as often as they occur.

    Attributes:
        record: What was analysed.
        heads: For each block and head: self_weight, entropy (nats), mean_distance and half_distance (angstrom), and
            uniform_entropy, uniform_mean_distance and uniform_half_distance of equal weights. Each is a mean over the
            crystals, of the mean over their sites.
        profiles: Weight on other sites (attention) by block, head and distance (lower end of the bin, angstrom).
        maps: Numbers of pairs (pairs) by block, head, distance (lower end of the bin, angstrom) and log_weight (lower
            end, log10), without the pairs of a site and itself.
        crystals: For each crystal (id): coefficient, the largest product of a weight and its distance (angstrom), its
            block, head, distance, weight and elements, and descriptors of the crystal.
        predictions: id, cutoff (infinite: all pairs) and prediction.
    """

    record: AttentionRecord
    heads: pd.DataFrame
    profiles: pd.DataFrame
    maps: pd.DataFrame
    crystals: pd.DataFrame
    predictions: pd.DataFrame

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Its tables by the name of their file."""
        return {f"{name}.parquet": getattr(self, name) for name in TABLES}

    def write(self, folder: Path) -> None:
        """Writes the tables, then the record."""
        for name, table in self.tables.items():
            with replacing(folder / name) as temporary:
                table.to_parquet(temporary, index=False)
        self.record.write(folder / FILE, files=self.tables)

    @classmethod
    def read(cls, path: Path | str, key: RunKey | None = None) -> Self:
        """Reads the record at `path` and the tables beside it, which must be as they were written.

        Raises:
            UserError: They are damaged, or of another run than `key`.
        """
        record = AttentionRecord.read(path)
        record.check(path, record.files)
        if key is not None:
            require_run(path, record.key, key)
        tables = {Path(name).stem: pd.read_parquet(Path(path).with_name(name)) for name in record.files}
        return cls(record, **tables)
