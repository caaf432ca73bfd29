# Downloads a data set, reads it into tables of crystals, targets and failures, and splits it into folds.


if benchmark.settings.dataset.needs_download:

    # Downloaded files are kept in downloads/, outside results/: no rerun downloads them again, and a file that
    # was put there by hand is used.
    localrules:
        download,
        refetch,

    rule download:
        output:
            f"{DATA}/download.json",
        log:
            f"{LOGS}/download.log",
        benchmark:
            f"{COSTS}/download.tsv"
        conda:
            "../envs/cpu.yaml"
        threads: 1
        resources:
            mem_mb=growing(1000),
            runtime=growing(240),
        params:
            folder="downloads",
            rerun_if=[DATASET, versions.DATA],
        script:
            "../workflow_scripts/download.py"

    # Without outputs, it runs only when requested: `snakemake refetch`.
    rule refetch:
        log:
            f"{LOGS}/refetch.log",
        conda:
            "../envs/cpu.yaml"
        threads: 1
        resources:
            mem_mb=growing(2000),
            runtime=growing(240),
        params:
            folder="downloads",
            record=rules.download.output[0],
        script:
            "../workflow_scripts/refetch.py"


if any(
    "submission" in trial.settings["model"] for trial in benchmark.predictions.values()
):

    localrules:
        fetch_submission,

    rule fetch_submission:
        output:
            f"{DATA}/submissions/{{submission}}.json",
        log:
            f"{LOGS}/fetch_submission/{{submission}}.log",
        benchmark:
            f"{COSTS}/fetch_submission/{{submission}}.tsv"
        wildcard_constraints:
            submission="matbench_[^/]+",
        conda:
            "../envs/cpu.yaml"
        threads: 1
        resources:
            mem_mb=growing(1000),
            runtime=growing(30),
        params:
            folder="downloads",
            rerun_if=versions.DATA,
        script:
            "../workflow_scripts/fetch_submission.py"


rule load_data:
    input:
        files=benchmark.settings.dataset.files,
        download=(
            f"{DATA}/download.json"
            if benchmark.settings.dataset.needs_download
            else []
        ),
    output:
        structures=f"{DATA}/structures.parquet",
        targets=f"{DATA}/targets.parquet",
        failures=f"{DATA}/failures.csv",
        manifest=f"{DATA}/manifest.json",
    log:
        f"{LOGS}/load_data.log",
    benchmark:
        f"{COSTS}/load_data.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        rerun_if=[DATASET, versions.DATA],
    script:
        "../workflow_scripts/load_data.py"


rule split:
    input:
        given=benchmark.settings.splits.files,
        download=(
            f"{DATA}/download.json"
            if benchmark.settings.dataset.downloads_folds
            and benchmark.settings.splits.kind == "official"
            else []
        ),
        targets=rules.load_data.output.targets,
        structures=(
            rules.load_data.output.structures
            if benchmark.settings.splits.kind in OUT_OF_DISTRIBUTION
            else []
        ),
        features=clustered("parquet"),
        features_record=clustered("json"),
        data=rules.load_data.output.manifest,
    output:
        summary=f"{DATA}/splits.json",
        train=expand(f"{FOLD}/train.parquet", fold=benchmark.available_folds),
        test_inputs=expand(
            f"{FOLD}/test_inputs.parquet", fold=benchmark.available_folds
        ),
        test_targets=expand(
            f"{FOLD}/test_targets.parquet", fold=benchmark.available_folds
        ),
    log:
        f"{LOGS}/split.log",
    benchmark:
        f"{COSTS}/split.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        splits=benchmark.settings.splits.model_dump(mode="json"),
        rerun_if=[DATASET["name"], versions.DATA],
    script:
        "../workflow_scripts/split.py"


# By which the result page groups errors. Symmetry takes milliseconds a crystal.
rule describe_crystals:
    input:
        data=rules.load_data.output.manifest,
        structures=rules.load_data.output.structures,
    output:
        facts=f"{DATA}/facts.parquet",
        record=f"{DATA}/facts.json",
    log:
        f"{LOGS}/describe_crystals.log",
    benchmark:
        f"{COSTS}/describe_crystals.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        rerun_if=versions.DATA,
    script:
        "../workflow_scripts/describe_crystals.py"


# For models of other programs: when requested, `snakemake export`, or by a grid that has such a model.
rule export:
    input:
        data=rules.load_data.output.manifest,
        structures=rules.load_data.output.structures,
        splits=rules.split.output.summary,
        train=expand(f"{FOLD}/train.parquet", fold=benchmark.available_folds),
        test_inputs=expand(
            f"{FOLD}/test_inputs.parquet", fold=benchmark.available_folds
        ),
    output:
        structures=[f"{EXPORT}/structures.extxyz", f"{EXPORT}/structures.json.gz"],
        folds=expand(
            f"{EXPORT}/fold{{fold}}/{{part}}.csv",
            fold=benchmark.available_folds,
            part=["train", "validation", "test"],
        ),
        record=f"{EXPORT}/export.json",
    log:
        f"{LOGS}/export.log",
    benchmark:
        f"{COSTS}/export.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        rerun_if=versions.DATA,
    script:
        "../workflow_scripts/export.py"
