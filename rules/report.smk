# Makes tables and figures from the results of all runs.
# Long lists of files are functions, because Snakemake's planning time grows with the square of a list's length.

RESULTS = {
    "data": rules.load_data.output.manifest,
    "splits": rules.split.output.summary,
    "features": feature_manifests(),
    "results": lambda wildcards: runs(
        rules.score.output.result
    ),  # with predictions beside them
    "selections": expand(rules.select_trials.output, fold=benchmark.folds),
    "stages": stage_files(),
    "stopped": [],
}

if benchmark.searches:
    RESULTS |= {
        "features": lambda wildcards: feature_manifests(all_stages()),
        "results": lambda wildcards: [
            *runs(rules.score.output.result),
            *runs_of_best(rules.score.output.result, all_stages()),
        ],
        "stopped": lambda wildcards: stopped_records(all_stages()),
    }


rule leaderboard:
    input:
        **RESULTS,
        structures=rules.load_data.output.structures,
        other=OTHER,
    output:
        config=f"{TABLES}/config.yaml",
        csv=reported("leaderboard"),
        markdown=f"{TABLES}/leaderboard.md",
        json=f"{TABLES}/leaderboard.json",
        latex=f"{TABLES}/leaderboard.tex",
        trials=table("trials"),
        comparisons=table("comparisons"),
        ablation=table("ablation") if benchmark.compares_trials else [],
        shift=table("shift") if OTHER else [],
        search=(
            [
                reported("search_progress"),
                reported("search_importance"),
                f"{TABLES}/search.md",
            ]
            if benchmark.searches
            else []
        ),
        failures=reported("failures"),
        predictions=f"{TABLES}/predictions.csv.gz",
    log:
        f"{LOGS}/leaderboard.log",
    benchmark:
        f"{COSTS}/leaderboard.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        rerun_if=[versions.EVALUATE, benchmark.digest],
    script:
        "../workflow_scripts/leaderboard.py"


# Only when requested, `snakemake tables_so_far`: tables of the finished runs, while others are missing.
rule tables_so_far:
    input:
        data=rules.load_data.output.manifest,
        structures=rules.load_data.output.structures,
        splits=rules.split.output.summary,
        features=lambda wildcards: feature_manifests(decided_stages()),
    output:
        directory(f"{TABLES}/so_far"),
    log:
        f"{LOGS}/tables_so_far.log",
    benchmark:
        f"{COSTS}/tables_so_far.tsv"
    localrule: True
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        results=lambda wildcards: results_so_far(),
        stages=lambda wildcards: [path for path in stage_files() if Path(path).exists()],
        rerun_if=[versions.EVALUATE, benchmark.digest],
    script:
        "../workflow_scripts/tables_so_far.py"


rule figures:
    input:
        **RESULTS,
        histories=lambda wildcards: runs(rules.train.output.history, benchmark.networks),
        other=OTHER,
    output:
        **{kind.name: figure(kind) for kind in FIGURES if kind.is_of(benchmark)},
    log:
        f"{LOGS}/figures.log",
    benchmark:
        f"{COSTS}/figures.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        rerun_if=[versions.EVALUATE, benchmark.digest],
    script:
        "../workflow_scripts/figures.py"


rule page:
    input:
        **RESULTS,
        histories=lambda wildcards: runs(rules.train.output.history, benchmark.networks),
        other=OTHER,
        attention=attention_records,
        facts=rules.describe_crystals.output.facts,
        facts_record=rules.describe_crystals.output.record,
        targets=rules.load_data.output.targets,
        train=expand(f"{FOLD}/train.parquet", fold=benchmark.folds),
    output:
        f"{TABLES}/index.html",  # too large for the report, which links it
    log:
        f"{LOGS}/page.log",
    benchmark:
        f"{COSTS}/page.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(30),
    params:
        rerun_if=[versions.EVALUATE, benchmark.digest],
    script:
        "../workflow_scripts/page.py"


rule track_benchmark:
    input:
        **RESULTS,
        tables=[rules.leaderboard.output.csv, rules.leaderboard.output.trials[0]],
        config=rules.leaderboard.output.config,
        figures=[path for path in rules.figures.output if path.endswith(".png")],
    output:
        f"{WANDB}/tracked.json",
    log:
        f"{LOGS}/track_benchmark.log",
    benchmark:
        f"{COSTS}/track_benchmark.tsv"
    localrule: True  # cluster nodes may have no internet
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        benchmark=benchmark.name,
        tracking=config["tracking"],
        rerun_if=versions.EVALUATE,
    script:
        "../workflow_scripts/track_benchmark.py"


# Only when requested: `snakemake matbench_submission`, after all official folds have run.
if (
    benchmark.settings.splits.kind == "official"
    and benchmark.settings.dataset.source == "matbench"
):

    rule matbench_submission:
        input:
            **RESULTS,
        output:
            directory(f"results/submissions/{benchmark.name}"),
        log:
            f"{LOGS}/matbench_submission.log",
        benchmark:
            f"{COSTS}/matbench_submission.tsv"
        conda:
            "../envs/cpu.yaml"
        threads: 1
        resources:
            mem_mb=growing(4000),
            runtime=growing(30),
        params:
            rerun_if=[versions.EVALUATE, benchmark.digest],
        script:
            "../workflow_scripts/matbench_submission.py"
