"""Settings of the features: how a crystal becomes a point set."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from sitenet.settings.descriptors import DescriptorName, check_installed
from sitenet.settings.section import Section


class FeatureSettings(Section):
    """Which sites are paired with each other, and which pairs are merged because their distances are equal.

    Attributes:
        max_sites: Largest number of sites in the supercell. A primitive cell with more sites is not repeated.
        supercell: Repeat the primitive cell to a supercell; false uses the primitive cell alone.
        radius: Use a sphere instead of a supercell: a site is paired with all periodic images within this distance
            (angstrom). Shells are never split, so the choice of cell does not matter. Null builds a supercell.
        primitive_tolerance: Copies of a site that differ by less (angstrom, along each axis) are averaged to one
            site of the primitive cell. Null is the paper's 0.5 for a supercell, which also averages away real
            distortions, and 0.01 with a radius, which needs no primitive cell.
        distance_tolerance: Distances that differ by at most this (angstrom) count as equal; 0 merges no pairs.
        moments: Also keep directions: of every pair the mean spherical harmonics of degree 1 to this one. Needs a
            `radius`. 0 keeps distances alone.
        descriptor: Also keep what a pretrained network knows of each site: `chgnet` takes 64 features of CHGNet,
            `sevennet` 128 of SevenNet-0. Both saw energies and forces of crystals of the Materials Project. Needs the
            package of that network.
    """

    max_sites: Annotated[int, Field(ge=1, le=2000)] = 100
    supercell: bool = True
    radius: Annotated[float, Field(ge=1, le=20)] | None = None
    primitive_tolerance: Annotated[float, Field(ge=0.001, le=0.5)] | None = None
    distance_tolerance: Annotated[float, Field(ge=0, le=0.01)] = 1e-4
    moments: Annotated[int, Field(ge=0, le=6)] = 0
    descriptor: DescriptorName | None = None

    @model_validator(mode="after")
    def _a_radius_replaces_the_supercell(self) -> Self:
        fields = type(self).model_fields
        given = [name for name in ("max_sites", "supercell") if getattr(self, name) != fields[name].default]
        if self.radius is not None and given:
            raise ValueError(f"radius {self.radius:g} replaces the supercell: leave out {' and '.join(given)}")
        return self

    @model_validator(mode="after")
    def _moments_need_a_radius(self) -> Self:
        # In a supercell several images of a site can be the nearest, and the choice would decide the direction.
        if self.moments and self.radius is None:
            raise ValueError(f"moments {self.moments} need a radius")
        return self

    @model_validator(mode="after")
    def _the_descriptor_is_installed(self) -> Self:
        if self.descriptor is not None:
            check_installed(self.descriptor)
        return self

    @property
    def cell_tolerance(self) -> float:
        """The `primitive_tolerance` that holds, in angstrom."""
        if self.primitive_tolerance is not None:
            return self.primitive_tolerance
        return 0.5 if self.radius is None else 0.01

    @property
    def descriptor_set(self) -> str | None:
        """Descriptor and primitive cell that it describes, as a folder name."""
        return None if self.descriptor is None else f"{self.descriptor}-{self.cell_tolerance:g}"

    @property
    def described(self) -> "FeatureSettings":
        """What descriptors depend on: primitive cells; how far sites see changes none."""
        return FeatureSettings(radius=4.0, descriptor=self.descriptor, primitive_tolerance=self.cell_tolerance)

    @property
    def size(self) -> str:
        """Size of the supercell or sphere, as part of a folder name."""
        if self.radius is not None:
            return f"sphere{self.radius:g}"
        return f"sites{self.max_sites}" if self.supercell else "primitive"


def pooled_features(descriptor: DescriptorName) -> FeatureSettings:
    """The features whose primitive cells are described for regressors: those of a sphere, which change no crystal."""
    return FeatureSettings(radius=4.0, descriptor=descriptor)


def check_descriptor(name: DescriptorName | None, sections: Mapping[str, Section]) -> None:
    """Raises ValueError where a network needs a descriptor that its features lack."""
    features = sections["features"]
    assert isinstance(features, FeatureSettings)
    if name is not None and features.descriptor != name:
        raise ValueError(f"descriptor {name} needs the same of the features: features.descriptor: {name}")
