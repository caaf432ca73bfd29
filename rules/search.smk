# Searches for hyperparameters: each stage is decided when the trainings that it depends on are done. Until then
# Snakemake does not know which trials follow: a checkpoint extends the plan. Only validation errors are read.


def stages(search, fold, n=None):
    """The first `n` stages of a search; asks Snakemake to decide one that is missing."""
    wanted = range(benchmark.searches[search].n_stages if n is None else n)
    paths = [
        checkpoints.search_stage.get(search=search, fold=fold, stage=i).output[0]
        for i in wanted
    ]
    return [stage_at(path) for path in paths]


def all_stages():
    """Every stage of every search."""
    return [
        stage
        for search in benchmark.searches
        for fold in benchmark.folds
        for stage in stages(search, fold)
    ]


def part(trial, fold, epochs):
    """Records of a trial after some epochs, one for each seed."""
    pattern = rules.train_part.output.run
    return expand(
        pattern, trial=trial, fold=fold, epochs=epochs, seed=benchmark.settings.seeds
    )


def records_deciding(wildcards):
    """Records of the trainings that a stage is decided by."""
    number = int(wildcards.stage)
    decided = stages(wildcards.search, wildcards.fold, number)
    before = [
        decided[i] for i in benchmark.searches[wildcards.search].decided_by(number)
    ]
    return [
        path
        for stage in before
        for trial in stage.trials
        for path in part(trial, stage.fold, stage.epochs_of(trial))
    ]


def runs_of_best(pattern, decided):
    """`pattern` for the best trials among some stages, each once, unless the grid has them, too."""
    best = [
        path
        for stage in decided
        if stage.is_last
        for trial in stage.trials
        if trial not in benchmark.networks
        for path in runs(pattern, [trial], stage.fold)
    ]
    return list(dict.fromkeys(best))


def best_of(search):
    """A function that gives the records of the best trial of a search on the fold of a rule."""
    return lambda wildcards: runs_of_best(
        f"{RUN}/run.json", stages(search, wildcards.fold)
    )


def stopped_records(decided):
    """The last record of every trial that was drawn, but is not the best one."""
    longest = stopped_epochs(decided, but=list(benchmark.networks))
    return [
        path
        for (trial, fold), epochs in longest.items()
        for path in part(trial, fold, epochs)
    ]


def stopped_so_far():
    """The last record that is there of every drawn trial, while searches go on."""
    found = {}
    for stage in decided_stages():
        for trial in stage.trials:
            for path in part(trial, stage.fold, stage.epochs_of(trial)):
                if trial not in benchmark.networks and Path(path).exists():
                    found[Path(path).parent] = path
    return [p for run, p in found.items() if not (run / "result.json").exists()]


localrules:
    search_stage,


checkpoint search_stage:
    input:
        stages=lambda wildcards: expand(
            STAGE,
            search=wildcards.search,
            fold=wildcards.fold,
            stage=range(int(wildcards.stage)),
        ),
        records=records_deciding,
    output:
        STAGE,
    log:
        f"{LOGS}/search_stage/{{search}}/fold{{fold}}-stage{{stage}}.log",
    benchmark:
        f"{COSTS}/search_stage/{{search}}/fold{{fold}}-stage{{stage}}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        rerun_if=versions.EVALUATE,
    script:
        "../workflow_scripts/search_stage.py"
