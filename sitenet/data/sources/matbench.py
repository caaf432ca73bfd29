"""Tasks of Matbench v0.1 with structures (Dunn et al., npj Comput. Mater. 6, 138 (2020))."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator

from sitenet.data.manifest import Download
from sitenet.data.sources.base import NamedDataset, Parts, Sha256, Source, Target, check_unchanged, known_name

# Names and units as in the metadata of the `matbench` package (a test compares them).
MATBENCH_TARGETS = {
    "matbench_dielectric": Target("n", "unitless", True),
    "matbench_jdft2d": Target("exfoliation_en", "meV/atom", True),
    "matbench_log_gvrh": Target("log10(G_VRH)", "log10(GPa)", False),
    "matbench_log_kvrh": Target("log10(K_VRH)", "log10(GPa)", False),
    "matbench_mp_e_form": Target("e_form", "eV/atom", False),
    "matbench_mp_gap": Target("gap pbe", "eV", True),
    "matbench_mp_is_metal": Target("is_metal", "", False, "classification"),
    "matbench_perovskites": Target("e_form", "eV/unit cell", False),
    "matbench_phonons": Target("last phdos peak", "cm^-1", True),
}


class MatbenchDataset(NamedDataset):
    """A task of Matbench v0.1 with structures.

    Attributes:
        mirror: Folder or URL that replaces the official download host.
        expected_sha256: Checksum of the file, where it is meant to differ from the official one.
    """

    targets = MATBENCH_TARGETS
    needs_download = True
    n_official_folds = 5
    source: Literal["matbench"]
    name: Annotated[str, AfterValidator(lambda name: known_name(name, MATBENCH_TARGETS))]
    mirror: str | None = None
    expected_sha256: Sha256 | None = None

    def download(self, folder: Path) -> Download:
        """Fetches the official file, or uses the one that is there."""
        from sitenet.data.sources.matbench_file import download_matbench

        return download_matbench(self.name, self.mirror, self.expected_sha256, folder)

    def official_folds(self, download: Download | None = None) -> list[Parts]:
        """The five folds, which the `matbench` package has; they have no validation part."""
        from sitenet.data.matbench_task import official_folds

        return [(train, [], test) for train, test in official_folds(self.name)]

    def open(self, download: Download | None = None) -> Source:
        """Opens the downloaded file."""
        from sitenet.data.sources.matbench_file import open_matbench

        return open_matbench(self.name, check_unchanged(download, "download"))
