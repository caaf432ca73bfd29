# Computes the features: point sets in parallel shards, and features of composition and structure for baselines.


rule describe_sites:
    input:
        data=rules.load_data.output.manifest,
        structures=rules.load_data.output.structures,
    output:
        shard=f"{DESCRIBED}/shard{{shard}}of{benchmark.settings.shards}.parquet",
        record=f"{DESCRIBED}/shard{{shard}}of{benchmark.settings.shards}.json",
    log:
        f"{LOGS}/describe_sites/{{described}}/shard{{shard}}.log",
    benchmark:
        f"{COSTS}/describe_sites/{{described}}/shard{{shard}}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(600),
    params:
        features=lambda wildcards: benchmark.descriptor_sets[
            wildcards.described
        ].model_dump(mode="json"),
        shards=benchmark.settings.shards,
        rerun_if=versions.FEATURES,
    script:
        "../workflow_scripts/describe_sites.py"


rule pooled_descriptors:
    input:
        data=rules.load_data.output.manifest,
        shards=lambda wildcards: pooled_from(wildcards, "parquet"),
        records=lambda wildcards: pooled_from(wildcards, "json"),
    output:
        table=f"results/features/{benchmark.name}/{{descriptor}}.parquet",
        record=f"results/features/{benchmark.name}/{{descriptor}}.json",
    log:
        f"{LOGS}/{{descriptor}}_features.log",
    benchmark:
        f"{COSTS}/{{descriptor}}_features.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        rerun_if=versions.FEATURES,
    script:
        "../workflow_scripts/pooled_descriptors.py"


rule featurize:
    input:
        data=rules.load_data.output.manifest,
        structures=rules.load_data.output.structures,
        described=lambda wildcards: described_of(wildcards, "parquet"),
        described_record=lambda wildcards: described_of(wildcards, "json"),
    output:
        shard=f"{FEATURES}/shard{{shard}}of{benchmark.settings.shards}.arrow",
        manifest=f"{FEATURES}/shard{{shard}}of{benchmark.settings.shards}.json",
        failures=f"{FEATURES}/shard{{shard}}of{benchmark.settings.shards}.failures.csv",
    log:
        f"{LOGS}/featurize/{{features}}/shard{{shard}}.log",
    benchmark:
        f"{COSTS}/featurize/{{features}}/shard{{shard}}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        features=lambda wildcards: benchmark.feature_sets[
            wildcards.features
        ].model_dump(mode="json"),
        shards=benchmark.settings.shards,
        rerun_if=versions.FEATURES,
    script:
        "../workflow_scripts/featurize.py"


rule collect_features:
    input:
        data=rules.load_data.output.manifest,
        shards=lambda wildcards: shards(wildcards.features),
    output:
        manifest=f"{FEATURES}/manifest.json",
        failures=f"{FEATURES}/failures.csv",
    log:
        f"{LOGS}/collect_features/{{features}}.log",
    benchmark:
        f"{COSTS}/collect_features/{{features}}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        rerun_if=versions.FEATURES,
    script:
        "../workflow_scripts/collect_features.py"


rule composition_features:
    input:
        data=rules.load_data.output.manifest,
        structures=rules.load_data.output.structures,
    output:
        table=f"results/features/{benchmark.name}/composition.parquet",
        record=f"results/features/{benchmark.name}/composition.json",
    log:
        f"{LOGS}/composition_features.log",
    benchmark:
        f"{COSTS}/composition_features.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        rerun_if=versions.FEATURES,
    script:
        "../workflow_scripts/composition_features.py"


rule structure_features:
    input:
        data=rules.load_data.output.manifest,
        structures=rules.load_data.output.structures,
    output:
        table=f"results/features/{benchmark.name}/structure.parquet",
        record=f"results/features/{benchmark.name}/structure.json",
    log:
        f"{LOGS}/structure_features.log",
    benchmark:
        f"{COSTS}/structure_features.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        rerun_if=versions.FEATURES,
    script:
        "../workflow_scripts/structure_features.py"
