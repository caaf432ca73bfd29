# Scores predictions, and selects trials by validation scores alone.


rule score:
    input:
        run=f"{RUN}/run.json",
        predictions=f"{RUN}/predictions.parquet",
        record=f"{RUN}/predictions.json",
        splits=rules.split.output.summary,
        targets=f"{FOLD}/test_targets.parquet",
    output:
        result=f"{RUN}/result.json",
        predictions=f"{RUN}/test_predictions.parquet",
    log:
        f"{LOGS}/score/{{trial}}/fold{{fold}}-seed{{seed}}.log",
    benchmark:
        f"{COSTS}/score/{{trial}}/fold{{fold}}-seed{{seed}}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        benchmark=benchmark.name,
        rerun_if=versions.EVALUATE,
    script:
        "../workflow_scripts/score.py"


rule select_trials:
    input:
        **{f"search_{search}": best_of(search) for search in benchmark.searches},
        runs=lambda wildcards: runs(
            f"{RUN}/run.json",
            trials=(
                *benchmark.networks,
                *benchmark.baselines,
                *benchmark.external,
            ),
            folds=wildcards.fold,
        ),
    output:
        f"{SELECTED}/selection.json",
    log:
        f"{LOGS}/select/fold{{fold}}.log",
    benchmark:
        f"{COSTS}/select/fold{{fold}}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        rerun_if=versions.EVALUATE,
    script:
        "../workflow_scripts/select_trials.py"
