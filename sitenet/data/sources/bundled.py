"""The data set that comes with the package (provenance and licence: bundled/README.md)."""

from typing import Annotated, Literal

from pydantic import AfterValidator

from sitenet.data.manifest import Download
from sitenet.data.sources.base import NamedDataset, Provenance, Source, SourceRow, Target, known_name
from sitenet.files import sha256_of

BUNDLED_TARGETS = {"mp_dielectric_gap": Target("band_gap", "eV", True)}
_PROVENANCE = {
    "version": "matminer 0.3.9, dielectric_constant.csv",
    "url": "https://doi.org/10.1038/sdata.2016.134",
    "licence": "Materials Project data, CC BY 4.0; file from matminer, BSD-3-Clause (LBNL)",
    "citation": (
        "Petousis et al., Sci. Data 4, 160134 (2017), doi:10.1038/sdata.2016.134; "
        "Jain et al., APL Mater. 1, 011002 (2013), doi:10.1063/1.4812323; "
        "Ward et al., Comput. Mater. Sci. 152, 60 (2018), doi:10.1016/j.commatsci.2018.05.018"
    ),
}


class BundledDataset(NamedDataset):
    """A data set that comes with the package."""

    targets = BUNDLED_TARGETS
    source: Literal["bundled"]
    name: Annotated[str, AfterValidator(lambda name: known_name(name, BUNDLED_TARGETS))]

    def open(self, download: Download | None = None) -> Source:
        """Opens the Parquet file of the package."""
        import pyarrow.parquet as pq

        from sitenet.data.table import CrystalTable, bundled_path

        path = bundled_path(self.name)
        values = pq.read_table(path, columns=[self.target])[self.target].to_pylist()
        crystals = CrystalTable.open(path).crystals()
        rows = (SourceRow(crystal.id, crystal, value) for crystal, value in zip(crystals, values, strict=True))
        return Source(Provenance(sha256=sha256_of(path), **_PROVENANCE), rows)
