"""Downloads a Materials Project snapshot again and logs what changed."""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from sitenet.data.sources import DatasetSettings
from sitenet.data.sources.materials_project import MaterialsProjectDataset
from sitenet.errors import UserError
from sitenet.logs import run_job


def main(snakemake: Any) -> None:
    settings: DatasetSettings = TypeAdapter(DatasetSettings).validate_python(snakemake.config["dataset"])
    if not isinstance(settings, MaterialsProjectDataset):
        raise UserError(
            f"refetch needs source 'materials_project', but '{settings.name}' is of source '{settings.source}'"
        )
    folder = Path(snakemake.params.folder)
    settings.refetch(folder)
    settings.download(folder).write(snakemake.params.record)  # newer, so that all that depends on it runs again


if __name__ == "__main__":
    run_job(main, snakemake)
