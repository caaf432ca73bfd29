"""The crystals that come with the package, with one of their targets (provenance and licence: bundled/README.md)."""

from typing import Annotated, Literal

from pydantic import AfterValidator

from sitenet.data.manifest import Download
from sitenet.data.sources.base import NamedTargets, Provenance, Source, SourceRow, Target, known_name
from sitenet.files import sha256_of

STRUCTURES = "mp_dielectric_gap"
BUNDLED_TARGETS = {
    "mp_dielectric_gap": Target("band_gap", "eV", True),
    "mp_dielectric_index": Target("refractive_index", "", True),
    "mp_dielectric_ewald": Target("ewald_energy", "eV/site", False),
    "mp_dielectric_screened": Target("screened_energy", "eV/site", False),
}
# Where the targets are; the table of structures has the first.
_TABLES = {
    "band_gap": STRUCTURES,
    "refractive_index": "mp_dielectric_index",
    "ewald_energy": "mp_dielectric_electrostatics",
    "screened_energy": "mp_dielectric_electrostatics",
}
_VERSION = "matminer 0.3.9, dielectric_constant.csv"
_COMPUTED = {"mp_dielectric_electrostatics": "; energies of point charges computed from its structures"}
_PROVENANCE = {
    "url": "https://doi.org/10.1038/sdata.2016.134",
    "licence": "Materials Project data, CC BY 4.0; file from matminer, BSD-3-Clause (LBNL)",
    "citation": (
        "Petousis et al., Sci. Data 4, 160134 (2017), doi:10.1038/sdata.2016.134; "
        "Jain et al., APL Mater. 1, 011002 (2013), doi:10.1063/1.4812323; "
        "Ward et al., Comput. Mater. Sci. 152, 60 (2018), doi:10.1016/j.commatsci.2018.05.018"
    ),
}


class BundledDataset(NamedTargets):
    """A data set that comes with the package."""

    targets = BUNDLED_TARGETS
    source: Literal["bundled"]
    name: Annotated[str, AfterValidator(lambda name: known_name(name, BUNDLED_TARGETS))]

    def open(self, download: Download | None = None) -> Source:
        """Opens the structures and the tables of the targets; crystals without any target are left out."""
        from sitenet.data.table import CrystalTable, bundled_path

        name = _TABLES[self.target]
        path, version = bundled_path(name), _VERSION + _COMPUTED.get(name, "")
        targets, others = _values(self.target), {name: _values(name) for name in self.other_targets}
        known = set(targets).union(*others.values())
        rows = (
            SourceRow(
                crystal.id,
                crystal,
                targets.get(crystal.id),
                others={name: values.get(crystal.id) for name, values in others.items()},
            )
            for crystal in CrystalTable.open(bundled_path(STRUCTURES)).crystals()
            if crystal.id in known
        )
        return Source(Provenance(version, sha256=sha256_of(path), **_PROVENANCE), rows)


def _values(target: str) -> dict[str, float]:
    """A target by the id of each crystal that has it."""
    import pyarrow.parquet as pq

    from sitenet.data.table import bundled_path

    table = pq.read_table(bundled_path(_TABLES[target]), columns=["id", target])
    return dict(zip(table["id"].to_pylist(), table[target].to_pylist(), strict=True))
