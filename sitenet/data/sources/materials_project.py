"""The Materials Project (Jain et al., APL Mater. 1, 011002 (2013)), queried once into a snapshot."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, Field

from sitenet.data.manifest import Download
from sitenet.data.sources.base import Identifier, Source, StatedTarget, check_unchanged
from sitenet.settings.elements import Symbol

if TYPE_CHECKING:
    from sitenet.data.sources.materials_project_download import Query

N = TypeVar("N", int, float)
NOBLE_GASES = ("He", "Ne", "Ar", "Kr", "Xe", "Rn")


def _ordered(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] > limits[1]:
        raise ValueError("the lower limit comes first")
    return limits


Limits = Annotated[tuple[N, N], AfterValidator(_ordered)]


class MaterialsProjectDataset(StatedTarget):
    """Crystals of the Materials Project that meet some criteria; deprecated entries are left out.

    Attributes:
        name: Name of the data set and of its snapshot.
        target: Field of the summary documents, such as band_gap; a dot leads into it (bulk_modulus.vrh).
        unit: Unit of the target; required of a number, and a class has none.
        task: What the target is: a number, or one of two classes (`classification`), such as is_metal.
        non_negative: Clamp predictions at zero.
        energy_above_hull: Upper limit in eV/atom.
        band_gap: Lower and upper limit in eV.
        num_sites: Lower and upper limit of sites in the cell.
        elements: Elements that a crystal must all contain.
        exclude_elements: Elements that it must not contain; noble gases as in Matbench.
    """

    needs_download: ClassVar[bool] = True
    source: Literal["materials_project"]
    name: Identifier
    target: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")]
    unit: str
    non_negative: bool = False
    energy_above_hull: Annotated[float, Field(ge=0)] | None = None
    band_gap: Limits[float] | None = None
    num_sites: Limits[int] | None = None
    elements: tuple[Symbol, ...] = ()
    exclude_elements: tuple[Symbol, ...] = NOBLE_GASES

    @property
    def criteria(self) -> dict[str, Any]:
        """Arguments of the client's summary search; GNoME entries, whose licence is another, are left out."""
        hull = self.energy_above_hull
        given = {
            "energy_above_hull": None if hull is None else [0, hull],
            "band_gap": None if self.band_gap is None else list(self.band_gap),
            "num_sites": None if self.num_sites is None else list(self.num_sites),
            "elements": list(self.elements) or None,
            "exclude_elements": list(self.exclude_elements) or None,
        }
        always = {"deprecated": False, "include_gnome": False}
        return always | {name: value for name, value in given.items() if value is not None}

    @property
    def _query(self) -> "Query":
        from sitenet.data.sources.materials_project_download import Query

        return Query(self.name, self.target, self.criteria, tuple(self.other_targets))

    def download(self, folder: Path) -> Download:
        """Fetches a snapshot, or uses the one that is there."""
        from sitenet.data.sources.materials_project_download import download_materials_project

        return download_materials_project(self._query, folder)

    def refetch(self, folder: Path) -> None:
        """Replaces the snapshot by what the database holds now."""
        from sitenet.data.sources.materials_project_download import refetch

        refetch(self._query, folder)

    def open(self, download: Download | None = None) -> Source:
        """Opens the snapshot."""
        from sitenet.data.sources.materials_project_download import open_materials_project

        return open_materials_project(check_unchanged(download, "download"))
