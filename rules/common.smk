# The validated benchmark, and the paths and functions that all rules share; defines no rules.
import os
import sys
from functools import cache
from pathlib import Path

from snakemake_executor_plugin_slurm import common_settings as slurm

from sitenet import versions
from sitenet.config.benchmark import Benchmark
from sitenet.config.keys import check_keys
from sitenet.config.pretrained import starting_network
from sitenet.config.trial import trial_names
from sitenet.driver import check_interpreter, share_package
from sitenet.errors import UserError
from sitenet.evaluation import other
from sitenet.evaluation.figures import FIGURES
from sitenet.models.external.settings import digest
from sitenet.models.sklearn.settings import FEATURE_TABLES
from sitenet.records import RunResult
from sitenet.search.stage import Stage, network_of, stopped_epochs
from sitenet.settings import tracking
from sitenet.settings.descriptors import DESCRIPTORS
from sitenet.settings.features import pooled_features
from sitenet.settings.splits import OUT_OF_DISTRIBUTION


def checked(function, *arguments):
    """What a function gives; where it refuses the user's input, one line says so and nothing starts."""
    try:
        return function(*arguments)
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if not workflow.deployment_settings.deployment_method:
    checked(check_interpreter, sys.executable)  # else jobs have a Python of their own
checked(check_keys, workflow.configfiles)
benchmark = checked(Benchmark, config)
tracked = checked(benchmark.settings.tracking.overridden, os.environ)

# Jobs read these sections from `config`, because changed `params` would rerun them.
config["tracking"] = tracked.model_dump(mode="json")
config["dataset"] = benchmark.settings.dataset.model_dump(mode="json")
# Settings that results depend on: not the download location, nor the number of accepted failures.
DATASET = benchmark.settings.dataset.model_dump(
    mode="json", exclude={"mirror", "max_failed_share"}
)

share_package(Path(str(workflow.basedir)))

# Without this, a SLURM job that contains a group of jobs would run them one after the other.
slurm.pass_group_args = True

DATA = f"results/data/{benchmark.name}"
FOLD = f"{DATA}/folds/fold{{fold}}"
EXPORT = f"{DATA}/export"
FEATURES = f"results/features/{benchmark.name}/{{features}}"
DESCRIBED = f"results/descriptors/{benchmark.name}/{{described}}"
RUN = f"results/runs/{benchmark.name}/{{trial}}/fold{{fold}}/seed{{seed}}"
ATTENTION = f"results/attention/{benchmark.name}/{{trial}}/fold{{fold}}/seed{{seed}}"
STAGE = f"results/search/{benchmark.name}/{{search}}/fold{{fold}}/stage{{stage}}.json"
SELECTED = f"results/selected/{benchmark.name}/fold{{fold}}"
TABLES = f"results/tables/{benchmark.name}"
FIGURES_FOLDER = f"results/figures/{benchmark.name}"
LOGS = f"results/logs/{benchmark.name}"
COSTS = f"results/costs/{benchmark.name}"
WANDB = f"{tracking.FOLDER}/{benchmark.name}"

# The tables of the benchmark that errors are compared with.
OTHER = []
if benchmark.settings.compare_to:
    other_tables = Path("results/tables", benchmark.settings.compare_to)
    checked(other.check_other, other_tables.name, other_tables, DATASET)
    OTHER = [str(other_tables / name) for name in other.FILES]

# Once the data are read, their source may be elsewhere.
if not Path(f"{DATA}/manifest.json").exists():
    checked(benchmark.check_files)

checked(benchmark.check_starts, f"{RUN}/run.json")

# Networks are matched by exclusion: there may be thousands, and a pattern with all their ids makes planning slow.
BASELINE = "|".join(benchmark.baselines) or "none"
PREDICTIONS = "|".join(benchmark.predictions) or "none"
EXTERNAL = "|".join(benchmark.external) or "none"
NETWORK = f"(?!{BASELINE}|{PREDICTIONS}|{EXTERNAL})[0-9a-f]{{8}}"


wildcard_constraints:
    trial="[0-9a-f]{8}",
    fold=r"\d+",
    seed=r"\d+",
    shard=r"\d+",
    search="[0-9a-f]{8}",
    stage=r"\d+",
    epochs=r"\d+",
    descriptor="|".join(DESCRIPTORS),
    described="({})-[0-9.]+".format("|".join(DESCRIPTORS)),
    features="(sites[0-9]+|sphere[0-9.]+|primitive)-[0-9a-f]{8}",


@cache
def shards(features):
    """The shards of one feature set."""
    pattern = f"{FEATURES}/shard{{shard}}of{benchmark.settings.shards}.arrow"
    return expand(pattern, features=features, shard=range(benchmark.settings.shards))


def described_of(wildcards, ending):
    """The descriptors that a shard of features takes in, if it does, or their record."""
    described = benchmark.feature_sets[wildcards.features].descriptor_set
    return described_shards(described, [wildcards.shard], ending) if described else []


def pooled_from(wildcards, ending):
    """All shards of a descriptor that regressors read, or their records."""
    described = pooled_features(wildcards.descriptor).descriptor_set
    return described_shards(described, range(benchmark.settings.shards), ending)


def described_shards(described, numbers, ending):
    pattern = f"{DESCRIBED}/shard{{shard}}of{benchmark.settings.shards}.{ending}"
    return expand(pattern, described=described, shard=numbers)


@cache
def network(trial):
    """A network of the grid, or one that a search has drawn."""
    return benchmark.networks.get(trial) or network_of(decided_stages(), trial)


def stage_files():
    """Where the records of all stages of all searches are, or will be."""
    return [
        STAGE.format(search=search.id, fold=fold, stage=number)
        for search in benchmark.searches.values()
        for fold in benchmark.folds
        for number in range(search.n_stages)
    ]


def decided_stages():
    """The stages of all searches that are on the disk."""
    return [stage_at(path) for path in stage_files() if Path(path).exists()]


def stage_at(path):
    """The record of a stage; it is read once, unless it changes."""
    return read_stage(path, Path(path).stat().st_mtime_ns)


@cache
def read_stage(path, changed):
    return checked(Stage.read, path)


def trained_before(wildcards):
    """Record of the same run after fewer epochs, if a search has it: trainings of a run come one after the other."""
    if wildcards.trial in benchmark.networks:
        return []
    own = [
        stage.epochs_of(wildcards.trial)
        for stage in decided_stages()
        if not stage.is_last
        and stage.fold == int(wildcards.fold)
        and wildcards.trial in stage.trials
    ]
    limit = int(wildcards.get("epochs", 0))
    shorter = [epochs for epochs in own if not limit or epochs < limit]
    return [f"{RUN}/epochs{max(shorter)}.json"] if shorter else []


def start_of(wildcards):
    """The checkpoint that a run starts from, if its trial fine-tunes another network."""
    name = network(wildcards.trial).training.start_from
    return [str(starting_network(name, int(wildcards.seed)))] if name else []


def feature_manifests(stages=()):
    """Manifests of the feature sets that the grid and some stages of searches use."""
    drawn = {trial: network(trial) for stage in stages for trial in stage.trials}
    used = {trial.feature_id: None for trial in (benchmark.networks | drawn).values()}
    return [f"{FEATURES}/manifest.json".format(features=features) for features in used]


def results_so_far():
    """Records of the finished runs, and of what is there of those that a search has stopped."""
    planned = runs(rules.score.output.result)
    if benchmark.searches:
        planned += runs_of_best(rules.score.output.result, decided_stages())
        planned += stopped_so_far()
    return [path for path in planned if Path(path).exists()]


def features_of(wildcards):
    """Manifest of a network's feature set; it is written when all shards are complete."""
    return f"{FEATURES}/manifest.json".format(
        features=network(wildcards.trial).feature_id
    )


command_digest = cache(digest)


def command_of_run(wildcards):
    """Checksum of the files of a command; where they are gone, of those that made what is there."""
    folder = benchmark.external[wildcards.trial].settings["model"]["folder"]
    record = Path(f"{RUN}/run.json".format(**wildcards))
    if Path(folder).is_dir() or not record.exists():
        return command_digest(folder)
    return RunResult.read(record).versions["command_sha256"]


def baseline_features(wildcards, ending):
    """The tables of features that a baseline is fitted to, or their records."""
    chosen = (
        benchmark.baselines[wildcards.trial]
        .settings["model"]
        .get("features", "composition")
    )
    names = FEATURE_TABLES[chosen]
    return [f"results/features/{benchmark.name}/{name}.{ending}" for name in names]


def clustered(ending):
    """The table of features whose clusters are held out, or its record; none for other kinds of splits."""
    splits = benchmark.settings.splits
    return (
        f"results/features/{benchmark.name}/{splits.features}.{ending}"
        if splits.kind == "cluster"
        else []
    )


def runs(pattern, trials=tuple(benchmark.trials), folds=benchmark.folds):
    """`pattern` for every planned run."""
    return expand(pattern, trial=trials, fold=folds, seed=benchmark.settings.seeds)


def predictions_source(wildcards):
    """The file that a model's predictions are read from, or the record of the one that is downloaded."""
    model = benchmark.predictions[wildcards.trial].settings["model"]
    if "submission" in model:
        return f"{DATA}/submissions/{model['submission']}.json"
    return model["path"]


def attention_records(wildcards):
    """Records of all analysed runs; none where the analysis is switched off."""
    return runs(f"{ATTENTION}/attention.json", *benchmark.analysed)


def growing(amount):
    """A resource that grows with each attempt, so that a job killed at its limit is repeated with more."""
    return lambda wildcards, attempt: amount * attempt


# Files of predictions and of commands are needed until everything was made from them.
for trial in (benchmark.predictions | benchmark.external).values():
    if not all(Path(path).exists() for path in runs(f"{RUN}/run.json", [trial.id])):
        checked(benchmark.check_model_files, trial)
        if trial.id in benchmark.external:
            checked(command_digest, trial.settings["model"]["folder"])
