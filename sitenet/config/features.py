"""How a crystal becomes a point set."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from sitenet.config.base import Section


class FeatureSettings(Section):
    """What a site sees, and pair reduction.

    Attributes:
        max_sites: Upper limit of supercell sites; a primitive cell that exceeds it is used as it is.
        supercell: False uses the primitive cell alone.
        radius: In place of a supercell, a site sees all sites within this distance (angstrom), complete
            shells whatever the cell; None builds the supercell.
        primitive_tolerance: Copies of a site that differ by less (angstrom, along each axis) are averaged to one
            site of the primitive cell; None is the paper's 0.5 for a supercell, which also averages away real
            distortions, and 0.01 with a radius, which needs no primitive cell.
        distance_tolerance: Distances within it (angstrom) count as equal; 0 switches the reduction off.
    """

    max_sites: Annotated[int, Field(ge=1, le=2000)] = 100
    supercell: bool = True
    radius: Annotated[float, Field(ge=1, le=20)] | None = None
    primitive_tolerance: Annotated[float, Field(ge=0.001, le=0.5)] | None = None
    distance_tolerance: Annotated[float, Field(ge=0, le=0.01)] = 1e-4

    @model_validator(mode="after")
    def _a_radius_replaces_the_supercell(self) -> Self:
        fields = type(self).model_fields
        given = [name for name in ("max_sites", "supercell") if getattr(self, name) != fields[name].default]
        if self.radius is not None and given:
            raise ValueError(f"radius {self.radius:g} replaces the supercell: leave out {' and '.join(given)}")
        return self

    @property
    def cell_tolerance(self) -> float:
        """The `primitive_tolerance` that holds, in angstrom."""
        if self.primitive_tolerance is not None:
            return self.primitive_tolerance
        return 0.5 if self.radius is None else 0.01

    @property
    def size(self) -> str:
        """How far a site sees, as part of a file name."""
        if self.radius is not None:
            return f"sphere{self.radius:g}"
        return f"sites{self.max_sites}" if self.supercell else "primitive"
