"""Tasks of the JARVIS leaderboard on the crystals of JARVIS-DFT.

Data: Choudhary et al., npj Comput. Mater. 6, 173 (2020), doi:10.1038/s41524-020-00440-1. Leaderboard: Choudhary et al.,
npj Comput. Mater. 10, 93 (2024).
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator

from sitenet.data.manifest import Download
from sitenet.data.sources.base import NamedTargets, Parts, Sha256, Source, Target, check_unchanged, known_name

# By the leaderboard's names; each target has the name of its key in the records.
JARVIS_TARGETS = {
    "dft_3d_formation_energy_peratom": Target("formation_energy_peratom", "eV/atom", False),
    "dft_3d_mbj_bandgap": Target("mbj_bandgap", "eV", True),
    "dft_3d_optb88vdw_bandgap": Target("optb88vdw_bandgap", "eV", True),
}


class JarvisDataset(NamedTargets):
    """A task of the JARVIS leaderboard: crystals of JARVIS-DFT, one of their properties and the official splits.

    Attributes:
        mirror: Folder or URL that replaces the official download hosts.
        expected_sha256: Checksum that the file of crystals must have.
        expected_splits_sha256: Checksum that the file of splits must have.
    """

    targets = JARVIS_TARGETS
    needs_download = True
    n_official_folds = 1
    downloads_folds = True
    source: Literal["jarvis"]
    name: Annotated[str, AfterValidator(lambda name: known_name(name, JARVIS_TARGETS))]
    mirror: str | None = None
    expected_sha256: Sha256 | None = None
    expected_splits_sha256: Sha256 | None = None

    def download(self, folder: Path) -> Download:
        """Fetches the files of crystals and splits, or uses those that are there."""
        from sitenet.data.sources.jarvis_file import download_jarvis

        return download_jarvis(self.name, self.mirror, self.expected_sha256, self.expected_splits_sha256, folder)

    def official_folds(self, download: Download | None = None) -> list[Parts]:
        """The one official fold, which has a validation part."""
        from sitenet.data.sources.jarvis_file import read_splits

        parts = read_splits(check_unchanged(download, "download"))
        return [(list(parts["train"]), list(parts["val"]), list(parts["test"]))]

    def open(self, download: Download | None = None) -> Source:
        """Opens the downloaded files."""
        from sitenet.data.sources.jarvis_file import open_jarvis

        return open_jarvis(self.target, check_unchanged(download, "download"), self.other_targets)
