"""Where crystals come from, one file a source."""

from typing import Annotated

from pydantic import Field

from sitenet.data.sources.bundled import BundledDataset
from sitenet.data.sources.files import FilesDataset
from sitenet.data.sources.jarvis import JarvisDataset
from sitenet.data.sources.matbench import MatbenchDataset
from sitenet.data.sources.materials_project import MaterialsProjectDataset

# The settings of every source, told apart by their key `source`.
DatasetSettings = Annotated[
    BundledDataset | JarvisDataset | MatbenchDataset | MaterialsProjectDataset | FilesDataset,
    Field(discriminator="source"),
]
