# What happens before the first job and after the last; defines no rules.
from pathlib import Path

from snakemake.logging import logger

from sitenet.config.targets import unused_targets
from sitenet.data.manifest import Manifest
from sitenet.driver import check_slurm, take_folder
from sitenet.errors import UserError
from sitenet.evaluation import former
from sitenet.search.stage import with_stages
from sitenet.terminal import ending


def begin_run():
    """Before the first job: locks the working directory, and keeps tables that would lose something."""
    global folder_lock  # held until this process ends
    try:
        if workflow.executor_plugin.name == "slurm":
            check_slurm()
        folder_lock = take_folder(Path.cwd())
        name_unused_targets()
        if any(job.rule.name == "leaderboard" for job in workflow.dag.needrun_jobs()):
            keep_former_tables()
    except UserError as error:
        logger.error(str(error))
        sys.exit(1)


def name_unused_targets():
    """Warns of further targets that were read for nothing: `training.other_targets` may have been forgotten."""
    if unused := unused_targets(benchmark):
        logger.warning(
            f"no network learns {', '.join(unused)} of dataset.other_targets: name them in training.other_targets"
        )


def keep_former_tables():
    """Says what the tables of this name lose by this run, and keeps what they have."""
    planned = with_stages(benchmark.resolved(), decided_stages())
    lost = former.losses(Path(TABLES), planned)
    if lost and workflow.output_settings.dryrun:
        say(f"{TABLES} would change: {', '.join(lost)}; a run keeps what is there")
    elif lost:
        kept = former.keep(benchmark.name, Path(TABLES), Path(FIGURES_FOLDER))
        logger.warning(
            f"{TABLES} changes: {', '.join(lost)}; what was there is kept in {kept}"
        )


def result(log=""):
    """The last lines of a run: what targets were read, so that a wrong column is seen; the leaderboard; paths."""
    partial = "tables_so_far" in workflow.dag_settings.targets
    folder = Path(TABLES, "so_far") if partial else Path(TABLES)
    manifest = Path(f"{DATA}/manifest.json")
    targets = Manifest.read(manifest).describe_targets() if manifest.exists() else ""
    return f"{targets}\n{ending.result(folder, log, tracked, benchmark.name)}".strip()


def say(text, **more):
    """Shows lines in the terminal, behind those of Snakemake."""
    logger.info(text, extra={"shown": True, **more})


# What the terminal needs to name jobs and to show an earlier result again; the message itself is empty.
say(
    "",
    trials=trial_names(benchmark.trials),
    seeds=len(benchmark.settings.seeds),
    result=result,
)

if workflow.output_settings.dryrun:
    name_unused_targets()
    keep_former_tables()
