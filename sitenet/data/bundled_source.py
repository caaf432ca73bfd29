"""The data set that comes with the package (provenance and licence: bundled/README.md)."""

from collections.abc import Iterator

import pyarrow.parquet as pq

from sitenet.config.data import BundledDataset
from sitenet.data.source import Entry, Provenance, Source, sha256_of
from sitenet.data.table import CrystalTable, bundled_path

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


def open_bundled(settings: BundledDataset) -> Source:
    """Opens a bundled data set."""
    path = bundled_path(settings.name)
    targets = pq.read_table(path, columns=[settings.target])[settings.target].to_pylist()
    return Source(Provenance(sha256=sha256_of(path), **_PROVENANCE), _entries(CrystalTable.open(path), targets))


def _entries(table: CrystalTable, targets: list[float]) -> Iterator[Entry]:
    for crystal, target in zip(table.crystals(), targets, strict=True):
        yield Entry(crystal.id, crystal, target)
