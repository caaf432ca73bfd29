# A benchmark from crystal structures to leaderboard; `snakemake --cores 8` runs the one of config.yaml.
from snakemake.utils import min_version

min_version("9.0")

if not workflow.overwrite_configfiles:

    configfile: f"{workflow.basedir}/config.yaml"


onstart:
    begin_run()


onsuccess:
    say(result(" ".join(log)))


include: "rules/common.smk"
include: "rules/report_files.smk"
include: "rules/data.smk"
include: "rules/features.smk"
include: "rules/train.smk"


if benchmark.searches:

    include: "rules/search.smk"


include: "rules/evaluate.smk"
include: "rules/report.smk"


if benchmark.analysed[0]:

    include: "rules/attention.smk"


include: "rules/driver.smk"


report: report_front()


# Steps of seconds, which run beside the driver where the others go through a cluster.
localrules:
    all,
    collect_features,
    select_trials,


rule all:
    default_target: True
    input:
        rules.page.output,
        rules.leaderboard.output,
        rules.figures.output,
        rules.attention_tables.output if benchmark.analysed[0] else [],
        [] if tracked.mode == "disabled" else rules.track_benchmark.output,
        # Of a search that was changed nothing is there yet. Tables that it is missing in would count as up to date.
        stage_files(),
