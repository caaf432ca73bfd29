# Results of all runs -> tables and figures.
# Long lists of files are functions: as plain lists, Snakemake's planning time grows with their length squared.

RESULTS = {
    "data": rules.load_data.output.manifest,
    "splits": rules.split.output.summary,
    "failures": [
        rules.load_data.output.failures,
        *expand(rules.collect_features.output.failures, features=plan.feature_sets),
    ],
    "features": expand(
        rules.collect_features.output.manifest, features=plan.feature_sets
    ),
    "results": lambda wildcards: runs(
        rules.score.output.result
    ),  # predictions lie beside
    "selections": expand(rules.select_trials.output, fold=plan.folds),
}


rule leaderboard:
    input:
        **RESULTS,
    output:
        config=f"{TABLES}/config.yaml",
        csv=report(
            f"{TABLES}/leaderboard.csv",
            caption="../report/leaderboard.rst",
            category="Tables",
        ),
        markdown=f"{TABLES}/leaderboard.md",
        trials_csv=report(
            f"{TABLES}/trials.csv", caption="../report/trials.rst", category="Tables"
        ),
        trials_markdown=f"{TABLES}/trials.md",
        comparisons=report(
            f"{TABLES}/comparisons.csv",
            caption="../report/comparisons.rst",
            category="Tables",
        ),
        ablation=table("ablation") if plan.compares_trials else [],
        failures=report(
            f"{TABLES}/failures.csv",
            caption="../report/failures.rst",
            category="Tables",
        ),
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
        config=plan.resolved(),
        version=versions.EVALUATE,
    script:
        "../workflow_scripts/leaderboard.py"


# Made when asked for, `snakemake tables_so_far`, while runs are missing: from the records that are there.
rule tables_so_far:
    input:
        data=rules.load_data.output.manifest,
        splits=rules.split.output.summary,
        failures=RESULTS["failures"],
        features=RESULTS["features"],
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
        config=plan.resolved(),
        results=lambda wildcards: [
            path for path in RESULTS["results"](wildcards) if Path(path).exists()
        ],
    script:
        "../workflow_scripts/tables_so_far.py"


rule figures:
    input:
        **RESULTS,
        histories=lambda wildcards: runs(rules.train.output.history, plan.networks),
    output:
        leaderboard=figure("leaderboard"),
        parity=figure("parity"),
        curves=figure("learning_curves"),
        ablation=figure("ablation") if plan.compares_trials else [],
        training_size=figure("training_size") if plan.scans_training_size else [],
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
        config=plan.resolved(),
        version=versions.EVALUATE,
    script:
        "../workflow_scripts/figures.py"


rule track_benchmark:
    input:
        **RESULTS,
        tables=[rules.leaderboard.output.csv, rules.leaderboard.output.trials_csv],
        config=rules.leaderboard.output.config,
        figures=[path for path in rules.figures.output if path.endswith(".png")],
    output:
        f"{WANDB}/tracked.json",
    log:
        f"{LOGS}/track_benchmark.log",
    benchmark:
        f"{COSTS}/track_benchmark.tsv"
    localrule: True  # where the network is, if anywhere
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        benchmark=plan.name,
        tracking=config["tracking"],
        version=versions.EVALUATE,
    script:
        "../workflow_scripts/track_benchmark.py"


# Made when asked for: `snakemake matbench_submission`, after all official folds have run.
if plan.settings.splits.kind == "official":

    rule matbench_submission:
        input:
            **RESULTS,
        output:
            directory(f"results/submissions/{plan.name}"),
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
            config=plan.resolved(),
            version=versions.EVALUATE,
        script:
            "../workflow_scripts/matbench_submission.py"
