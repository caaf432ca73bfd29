"""How a crystal becomes a point set."""

from typing import Annotated

from pydantic import Field

from sitenet.config.base import Section


class FeatureSettings(Section):
    """What a site sees, and pair reduction.

    Attributes:
        max_sites: Upper limit of supercell sites; a primitive cell that exceeds it is used as it is.
        supercell: False uses the primitive cell alone.
        radius: Instead of a supercell's sites, a site sees all sites within this distance (angstrom), complete
            shells whatever the cell; None builds the supercell.
        distance_tolerance: Distances within it (angstrom) count as equal; 0 switches the reduction off.
    """

    max_sites: Annotated[int, Field(ge=1, le=2000)] = 100
    supercell: bool = True
    radius: Annotated[float, Field(gt=0, le=20)] | None = None
    distance_tolerance: Annotated[float, Field(ge=0, le=0.01)] = 1e-4
