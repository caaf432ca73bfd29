# What the networks attend to, and their errors without what lies beyond a distance. `attention` does not see test
# targets; `attention_tables` takes them from scored predictions, like all tables.


rule attention:
    input:
        features=features_of,
        splits=rules.split.output.summary,
        ids=f"{FOLD}/test_inputs.parquet",
        best=rules.train.output.best,
    output:
        record=f"{ATTENTION}/attention.json",
        tables=expand(
            f"{ATTENTION}/{{table}}.parquet",
            table=["heads", "profiles", "maps", "crystals", "predictions"],
            allow_missing=True,
        ),
    log:
        f"{LOGS}/attention/{{trial}}/fold{{fold}}-seed{{seed}}.log",
    benchmark:
        f"{COSTS}/attention/{{trial}}/fold{{fold}}-seed{{seed}}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(120),
    params:
        benchmark=benchmark.name,
        analysis=benchmark.settings.analysis.model_dump(
            mode="json", include={"cutoffs", "max_crystals"}
        ),
        shards=lambda wildcards: shards(network(wildcards.trial).feature_id),
        rerun_if=versions.ATTENTION,
    script:
        "../workflow_scripts/attention.py"


rule attention_tables:
    input:
        **RESULTS,
        attention=attention_records,
    output:
        **{kind.name: figure(kind) for kind in attention_figures()},
        cutoff=reported("attention_cutoff"),
        heads=reported("attention_heads"),
        correlations=reported("attention_correlations"),
        crystals=f"{TABLES}/attention_crystals.csv.gz",
    log:
        f"{LOGS}/attention_tables.log",
    benchmark:
        f"{COSTS}/attention_tables.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(30),
    params:
        rerun_if=[versions.EVALUATE, versions.ATTENTION, benchmark.digest],
    script:
        "../workflow_scripts/attention_tables.py"
