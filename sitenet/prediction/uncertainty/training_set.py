"""What a model has learnt from, small enough to be shipped with it."""

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sitenet.errors import UserError
from sitenet.files import replacing
from sitenet.prediction.uncertainty.sketch import Sketch
from sitenet.settings.elements import SYMBOLS

# Largest differences of fingerprints of one structure: 2 % in the lattice, and what small displacements change.
SAME = np.array([0.02, 0.1, 0.1, 0.1, 0.1])
# Slightly shorter distances than in training do not make errors larger; docs/uncertainty.md has the figures.
SHORT = 0.9
USUAL = (0.0005, 0.9995)  # quantiles between which a crystal's density is usual


@dataclass(frozen=True)
class TrainingSet:
    """Elements, formulas and structures of T training crystals; what belongs to atomic number Z is at index Z.

    Attributes:
        elements: (Z,) number of training crystals that hold each element.
        formulas: (T,) hashes of reduced formulas, ascending.
        fingerprints: (T, 5) fingerprints of the same crystals.
        pairs: (Q,) pairs of elements that are neighbours in a training crystal, as in `Sketch`, ascending.
        shortest: (Q,) the shortest distance of each, in angstrom.
        volumes: (Z,) typical volume of a site of each element, in cubic angstrom.
        ratios: (2,) smallest and largest usual ratio of a crystal's volume to the typical volumes of its sites.
        n_sites: (1,) largest number of sites in a primitive cell.
    """

    elements: NDArray[np.int32]
    formulas: NDArray[np.uint32]
    fingerprints: NDArray[np.float16]
    pairs: NDArray[np.int32]
    shortest: NDArray[np.float32]
    volumes: NDArray[np.float32]
    ratios: NDArray[np.float32]
    n_sites: NDArray[np.int32]

    @classmethod
    def collect(cls, sketches: Sequence[Sketch]) -> Self:
        """The training set of these crystals, of which there must be one at least."""
        from scipy.optimize import nnls  # whoever predicts need not wait for its import

        known = sorted(sketches, key=lambda one: one.formula)
        counts = np.zeros((len(known), len(SYMBOLS) + 1))
        shortest: dict[int, float] = {}
        for row, one in zip(counts, known, strict=True):
            row[list(one.elements)] = one.counts
            for pair, distance in zip(one.pairs.tolist(), one.shortest.tolist(), strict=True):
                shortest[pair] = min(distance, shortest.get(pair, np.inf))
        shares = counts / np.array([one.n_sites * one.volume for one in known])[:, None]
        volumes, _ = nnls(shares, np.ones(len(known)))
        return cls(
            elements=(counts > 0).sum(axis=0, dtype=np.int32),
            formulas=np.array([one.formula for one in known], np.uint32),
            fingerprints=np.array([one.fingerprint for one in known], np.float16),
            pairs=np.array(sorted(shortest), np.int32),
            shortest=np.array([shortest[pair] for pair in sorted(shortest)], np.float32),
            volumes=volumes.astype(np.float32),
            ratios=np.quantile(1 / (shares @ volumes), USUAL).astype(np.float32),
            n_sites=np.array([counts.sum(axis=1).max()], np.int32),
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads what `write` has written.

        Raises:
            UserError: The file is missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls(**{field.name: arrays[field.name] for field in fields(cls)})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise UserError(f"{path} cannot be read: {error}") from None

    def write(self, path: Path) -> None:
        """Writes a compressed .npz file."""
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **{field.name: getattr(self, field.name) for field in fields(self)})

    def count(self, crystal: Sketch) -> tuple[int, int]:
        """How many training crystals have the formula of a crystal, and how many of these its structure."""
        start, stop = np.searchsorted(self.formulas, [crystal.formula, crystal.formula + 1])
        differences = np.abs(self.fingerprints[start:stop].astype(np.float64) - crystal.fingerprint)
        return int(stop - start), int((differences <= SAME).all(axis=1).sum())

    def too_short(self, crystal: Sketch) -> tuple[int, float, float] | None:
        """The pair of elements that is closest, compared with its shortest distance in training crystals.

        Returns:
            The pair as in `Sketch`, its distance in the crystal and the shortest one known, in angstrom; None if the
            distance is not below `SHORT` times that.
        """
        place = np.minimum(np.searchsorted(self.pairs, crystal.pairs), len(self.pairs) - 1)
        known = np.where(self.pairs[place] == crystal.pairs, self.shortest[place].astype(np.float64), 1e-9)
        ratios = crystal.shortest / known  # huge for unknown pairs
        if not len(ratios) or ratios.min() >= SHORT:
            return None
        worst = int(ratios.argmin())
        return int(crystal.pairs[worst]), float(crystal.shortest[worst]), float(known[worst])

    def volume_ratio(self, crystal: Sketch) -> float:
        """Volume of a crystal by the typical volumes of its sites; NaN if an element has none."""
        typical = self.volumes[list(crystal.elements)]
        if not typical.all():
            return np.nan
        return float(crystal.volume * crystal.n_sites / (typical @ np.array(crystal.counts)))
