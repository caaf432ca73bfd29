"""How a crystal becomes a point set."""

from typing import Annotated

from pydantic import Field

from sitenet.config.base import Section


class FeatureSettings(Section):
    """Supercell size and pair reduction.

    Attributes:
        max_sites: Upper limit of supercell sites; a primitive cell that exceeds it is used as it is.
        supercell: False uses the primitive cell alone.
        distance_tolerance: Distances within it (angstrom) count as equal; 0 switches the reduction off.
    """

    max_sites: Annotated[int, Field(ge=1, le=2000)] = 100
    supercell: bool = True
    distance_tolerance: Annotated[float, Field(ge=0, le=0.01)] = 1e-4
