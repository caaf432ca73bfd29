"""The one place that knows which source belongs to which settings."""

from pathlib import Path

from sitenet.config.data import (
    BundledDataset,
    DatasetSettings,
    FilesDataset,
    MatbenchDataset,
    MaterialsProjectDataset,
)
from sitenet.data.bundled_source import open_bundled
from sitenet.data.files_source import open_files
from sitenet.data.manifest import Download
from sitenet.data.matbench_source import download_matbench, open_matbench
from sitenet.data.materials_project_source import download_materials_project, open_materials_project
from sitenet.data.source import Source, check_unchanged


def download_dataset(settings: DatasetSettings, folder: Path | str) -> Download:
    """Brings what a data set is read from into `folder`, for settings that say `needs_download`.

    A file that is there already is checked and used.

    Raises:
        UserError: It cannot be had, or is not what the settings ask for.
    """
    if isinstance(settings, MatbenchDataset):
        return download_matbench(settings, Path(folder))
    assert isinstance(settings, MaterialsProjectDataset), f"{settings.source} needs no download"
    return download_materials_project(settings, Path(folder))


def open_source(settings: DatasetSettings, download: Download | None = None) -> Source:
    """Opens the source of a data set.

    Raises:
        UserError: What the source reads is missing, damaged or not what was downloaded.
    """
    if isinstance(settings, BundledDataset):
        return open_bundled(settings)
    if isinstance(settings, FilesDataset):
        return open_files(settings)
    assert download is not None, f"{settings.source} needs a download"
    check_unchanged(download, "download")
    if isinstance(settings, MatbenchDataset):
        return open_matbench(settings, download)
    return open_materials_project(download)
