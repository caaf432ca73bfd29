"""The pretrained networks whose site features can be taken."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

DescriptorName = Literal["chgnet", "sevennet"]


@dataclass(frozen=True)
class DescriptorKind:
    """A pretrained network.

    Attributes:
        width: Number of its features of a site.
        package: The package that holds its weights, which is imported by the same name.
        title: What it is called.
        pretrained_on: What it saw of which crystals.
    """

    width: int
    package: str
    title: str
    pretrained_on: str


DESCRIPTORS: dict[DescriptorName, DescriptorKind] = {
    "chgnet": DescriptorKind(
        width=64,
        package="chgnet",
        title="CHGNet 0.3.0",
        pretrained_on="energies, forces, stresses and magnetic moments of 145,923 crystals of the Materials Project "
        "(MPtrj), not band gaps; test crystals are among them",
    ),
    "sevennet": DescriptorKind(
        width=128,
        package="sevenn",
        title="SevenNet-0 (11 July 2024)",
        pretrained_on="energies, forces and stresses of 145,923 crystals of the Materials Project (MPtrj), not band "
        "gaps; test crystals are among them",
    ),
}


def check_installed(name: DescriptorName) -> None:
    """Raises ValueError where the package of a descriptor is missing."""
    package = DESCRIPTORS[name].package
    if find_spec(package) is None:
        raise ValueError(
            f"descriptor {name} needs the package {package}, which is not installed: pip install {package}"
        )
