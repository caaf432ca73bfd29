"""Runs a command that trains and predicts in an environment of its own, on one fold with one seed."""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from sitenet import __version__
from sitenet.config.trial import Trial
from sitenet.data.manifest import EXPORTED_PARTS, EXPORTED_STRUCTURES, Export, Manifest
from sitenet.data.sources import DatasetSettings
from sitenet.data.table import bundled_path
from sitenet.environment import hardware
from sitenet.logs import run_job
from sitenet.models.external.settings import ExternalSettings
from sitenet.records import Cost, Predictions, RunKey, RunResult
from sitenet.training.allotment import allotted_device
from sitenet.training.external import ExternalJob, run_external


def main(snakemake: Any) -> None:
    files, trial = snakemake.input, Trial.from_settings(snakemake.params.settings)
    key = RunKey(benchmark=snakemake.params.benchmark, **dict(snakemake.wildcards.items()))
    data, exported = Manifest.read(files.data), Path(files.record).parent
    parts = [f"fold{key.fold}/{name}" for name in EXPORTED_PARTS]
    Export.read(files.record, check=[*EXPORTED_STRUCTURES, *parts])
    hidden = [Path("results"), Path("downloads"), bundled_path("").parent, *_own_files(snakemake.config["dataset"])]
    job = ExternalJob(
        settings=ExternalSettings.model_validate(trial.settings["model"]),
        fold=key.fold,
        seed=key.seed,
        work=Path(snakemake.output.run).with_name("work"),
        structures=[exported / name for name in EXPORTED_STRUCTURES],
        parts=exported / f"fold{key.fold}",
        dataset=data.name,
        target=data.target,
        unit=data.unit,
        non_negative=data.non_negative,
        threads=snakemake.threads,
        device=allotted_device(snakemake.resources),
        hidden=hidden,
        task=data.task,
    )
    run = run_external(job)
    run.predictions.to_parquet(snakemake.output.predictions, index=False)
    Predictions(key=key).write(snakemake.output.record, files=["predictions.parquet"])
    RunResult(
        key=key,
        kind=trial.kind,
        settings=trial.settings,
        target=data.target,
        unit=data.unit,
        task=data.task,
        n_train=run.n_train,
        n_train_available=run.n_train,
        n_validation=run.n_validation,
        validation_error=run.validation_error,
        n_parameters=None,
        epochs=None,
        cost=Cost(seconds=run.seconds, peak_memory_mb=run.peak_memory_mb, restarts=run.restarts),
        versions={"sitenet": __version__, "command_sha256": run.digest, "isolation": run.isolation},
        hardware=hardware() | {"device": job.device, "threads": job.threads},
    ).write(snakemake.output.run)


def _own_files(dataset: Any) -> list[Path]:
    """The user's own files; but a folder that holds everything, and so the command's environment, stays visible."""
    files = map(Path, TypeAdapter(DatasetSettings).validate_python(dataset).files)
    return [path for path in files if not Path.cwd().is_relative_to(path.resolve())]


if __name__ == "__main__":
    run_job(main, snakemake)
