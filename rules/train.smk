# For each trial, fold and seed: trains a network, fits a baseline or runs a command, and predicts the test part; or reads
# predictions that were made elsewhere. Training parts contain targets, test inputs do not; only `score` reads test
# targets. Prediction has no job of its own: a process takes longer to start than a small network to predict.


rule train:
    input:
        features=features_of,
        data=rules.load_data.output.manifest,
        splits=rules.split.output.summary,
        train=f"{FOLD}/train.parquet",
        ids=f"{FOLD}/test_inputs.parquet",
        stopped=trained_before,
        start=start_of,
    output:
        best=f"{RUN}/best.pt",
        history=f"{RUN}/history.jsonl",
        run=f"{RUN}/run.json",
        predictions=f"{RUN}/predictions.parquet",
        record=f"{RUN}/predictions.json",
    log:
        f"{LOGS}/train/{{trial}}/fold{{fold}}-seed{{seed}}.log",
    benchmark:
        f"{COSTS}/train/{{trial}}/fold{{fold}}-seed{{seed}}.tsv"
    wildcard_constraints:
        trial=NETWORK,
    conda:
        "../envs/cuda.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(24 * 60),
        checkpoint_seconds=20,
    params:
        benchmark=benchmark.name,
        settings=lambda wildcards: network(wildcards.trial).settings,
        shards=lambda wildcards: shards(network(wildcards.trial).feature_id),
        rerun_if=versions.TRAIN,
    script:
        "../workflow_scripts/train.py"


if benchmark.searches:

    # A trial of a search, trained for some epochs; last.pt, undeclared like that of `train`, lets it go on.
    use rule train as train_part with:
        output:
            run=f"{RUN}/epochs{{epochs}}.json",
        log:
            f"{LOGS}/train_part/{{trial}}/fold{{fold}}-seed{{seed}}-epochs{{epochs}}.log",
        benchmark:
            f"{COSTS}/train_part/{{trial}}/fold{{fold}}-seed{{seed}}-epochs{{epochs}}.tsv"


rule baseline:
    input:
        features=lambda wildcards: baseline_features(wildcards, "parquet"),
        features_records=lambda wildcards: baseline_features(wildcards, "json"),
        data=rules.load_data.output.manifest,
        splits=rules.split.output.summary,
        train=f"{FOLD}/train.parquet",
        ids=f"{FOLD}/test_inputs.parquet",
    output:
        run=f"{RUN}/run.json",
        predictions=f"{RUN}/predictions.parquet",
        record=f"{RUN}/predictions.json",
    log:
        f"{LOGS}/baseline/{{trial}}/fold{{fold}}-seed{{seed}}.log",
    benchmark:
        f"{COSTS}/baseline/{{trial}}/fold{{fold}}-seed{{seed}}.tsv"
    wildcard_constraints:
        trial=BASELINE,
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        benchmark=benchmark.name,
        settings=lambda wildcards: benchmark.baselines[wildcards.trial].unnamed_settings,
        rerun_if=versions.TRAIN,
    script:
        "../workflow_scripts/baseline.py"


# A command in an environment of its own; its folder `work`, undeclared like last.pt, lets it go on.
rule external:
    input:
        data=rules.load_data.output.manifest,
        record=rules.export.output.record,
        structures=rules.export.output.structures,
        parts=expand(
            f"{EXPORT}/fold{{{{fold}}}}/{{part}}.csv",
            part=["train", "validation", "test"],
        ),
    output:
        run=f"{RUN}/run.json",
        predictions=f"{RUN}/predictions.parquet",
        record=f"{RUN}/predictions.json",
    log:
        f"{LOGS}/external/{{trial}}/fold{{fold}}-seed{{seed}}.log",
    benchmark:
        f"{COSTS}/external/{{trial}}/fold{{fold}}-seed{{seed}}.tsv"
    wildcard_constraints:
        trial=EXTERNAL,
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(24 * 60),
    params:
        benchmark=benchmark.name,
        settings=lambda wildcards: benchmark.external[wildcards.trial].unnamed_settings,
        rerun_if=lambda wildcards: [versions.TRAIN, command_of_run(wildcards)],
    script:
        "../workflow_scripts/external.py"


if benchmark.predictions:

    localrules:
        predictions,

    rule predictions:
        input:
            source=predictions_source,
            data=rules.load_data.output.manifest,
            structures=rules.load_data.output.structures,
            splits=rules.split.output.summary,
            ids=f"{FOLD}/test_inputs.parquet",
        output:
            run=f"{RUN}/run.json",
            predictions=f"{RUN}/predictions.parquet",
            record=f"{RUN}/predictions.json",
        log:
            f"{LOGS}/predictions/{{trial}}/fold{{fold}}-seed{{seed}}.log",
        benchmark:
            f"{COSTS}/predictions/{{trial}}/fold{{fold}}-seed{{seed}}.tsv"
        wildcard_constraints:
            trial=PREDICTIONS,
        conda:
            "../envs/cpu.yaml"
        threads: 1
        resources:
            mem_mb=growing(2000),
            runtime=growing(10),
        params:
            benchmark=benchmark.name,
            settings=lambda wildcards: benchmark.predictions[
                wildcards.trial
            ].unnamed_settings,
            rerun_if=versions.TRAIN,
        script:
            "../workflow_scripts/predictions.py"
