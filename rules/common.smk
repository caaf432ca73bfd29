# The validated benchmark and the paths that rules share; no rules here.
import os
import sys
from functools import cache
from pathlib import Path

from snakemake_executor_plugin_slurm import common_settings as slurm

from sitenet.config import tracking, versions
from sitenet.config.benchmark import Benchmark
from sitenet.data.manifest import Manifest
from sitenet.driver import check_interpreter, share_package, take_folder
from sitenet.errors import UserError

try:
    if (
        not workflow.deployment_settings.deployment_method
    ):  # else jobs have a Python of their own
        check_interpreter(sys.executable)
    plan = Benchmark(config)
    tracked = plan.settings.tracking.overridden(os.environ)
except UserError as error:
    print(error, file=sys.stderr)
    sys.exit(1)

# Jobs read these sections from their `config` rather than from `params`, whose changes would rerun them.
config["tracking"] = tracked.model_dump(mode="json")
config["dataset"] = plan.settings.dataset.model_dump(mode="json")
# What the numbers depend on: neither where a file comes from nor how many failures are accepted.
DATASET = plan.settings.dataset.model_dump(
    mode="json", exclude={"mirror", "max_failed_share"}
)

share_package(Path(str(workflow.basedir)))

# SLURM's plugin hands the members of a group to its job step, which runs them in turn unless it knows the group.
slurm.pass_group_args = True

DATA = f"results/data/{plan.name}"
FOLD = f"{DATA}/folds/fold{{fold}}"
FEATURES = f"results/features/{plan.name}/{{features}}"
RUN = f"results/runs/{plan.name}/{{trial}}/fold{{fold}}/seed{{seed}}"
SELECTED = f"results/selected/{plan.name}/fold{{fold}}"
TABLES = f"results/tables/{plan.name}"
FIGURES = f"results/figures/{plan.name}"
LOGS = f"results/logs/{plan.name}"
COSTS = f"results/benchmarks/{plan.name}"
WANDB = f"{tracking.FOLDER}/{plan.name}"

# Others are few and networks may be thousands, which a pattern that names each would make slow to plan.
BASELINE = "|".join(plan.baselines) or "none"
PUBLISHED = "|".join(plan.published) or "none"
NETWORK = f"(?!{BASELINE}|{PUBLISHED})[0-9a-f]{{8}}"


wildcard_constraints:
    trial="[0-9a-f]{8}",
    fold=r"\d+",
    seed=r"\d+",
    shard=r"\d+",
    features="(sites[0-9]+|sphere[0-9.]+|primitive)-[0-9a-f]{8}",


@cache
def shards(features):
    """The shards of one feature set."""
    pattern = f"{FEATURES}/shard{{shard}}of{plan.settings.shards}.arrow"
    return expand(pattern, features=features, shard=range(plan.settings.shards))


def features_of(wildcards):
    """Manifest of the feature set of a network, written when all shards are complete."""
    return f"{FEATURES}/manifest.json".format(
        features=plan.networks[wildcards.trial].feature_id
    )


def runs(pattern, trials=tuple(plan.trials), folds=plan.folds):
    """`pattern` for every planned run."""
    return expand(pattern, trial=trials, fold=folds, seed=plan.settings.seeds)


def figure(name):
    """A figure as SVG, which the report shows, and as PNG."""
    caption = f"../report/{name}.rst"
    vector = report(f"{FIGURES}/{name}.svg", caption=caption, category="Figures")
    return [vector, f"{FIGURES}/{name}.png"]


def table(name):
    """A table as CSV, which the report shows, and as Markdown."""
    caption = f"../report/{name}.rst"
    values = report(f"{TABLES}/{name}.csv", caption=caption, category="Tables")
    return [values, f"{TABLES}/{name}.md"]


def begin_run():
    """Takes the working directory before the first job; refused while another driver works in it."""
    global folder_lock  # held until this process ends
    try:
        folder_lock = take_folder(Path.cwd())
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


def say_targets():
    """The last line of a run: what targets were read, so that a wrong column is seen."""
    if Path(f"{DATA}/manifest.json").exists():
        print(
            Manifest.read(f"{DATA}/manifest.json").describe_targets(), file=sys.stderr
        )


def growing(amount):
    """A resource that grows with each attempt: what was killed at a limit is repeated with more."""
    return lambda wildcards, attempt: amount * attempt
