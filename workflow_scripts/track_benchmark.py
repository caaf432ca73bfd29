"""Publishes a finished benchmark to Weights & Biases."""

import json
from pathlib import Path
from typing import Any

from sitenet.files import write_text
from sitenet.logs import run_job
from sitenet.settings.tracking import TrackingSettings
from sitenet.tracking.process import publish
from sitenet.tracking.tasks import Publish


def main(snakemake: Any) -> None:
    files = snakemake.input
    settings = TrackingSettings(**snakemake.params.tracking)
    complete = publish(
        Publish(
            settings=settings,
            folder=Path(snakemake.output[0]).parent,
            benchmark=snakemake.params.benchmark,
            manifest=files.data,
            features=files.features,
            results=files.results,
            selections=files.selections,
            config=files.config,
            tables=files.tables,
            figures=files.figures,
        )
    )
    record = {"mode": settings.mode, "runs": len(files.results), "complete": complete}
    write_text(snakemake.output[0], json.dumps(record) + "\n")


if __name__ == "__main__":
    run_job(main, snakemake)
