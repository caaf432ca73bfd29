"""Results of all runs -> leaderboard, trials, comparisons and failed crystals."""

from typing import Any

import yaml

from sitenet.data.manifest import Manifest, Splits
from sitenet.evaluation.ablation import compare_trials
from sitenet.evaluation.standings import read_standings
from sitenet.evaluation.tables import (
    read_changed,
    read_failures,
    write_ablation,
    write_comparisons,
    write_failures,
    write_leaderboard,
    write_trials,
)
from sitenet.files import write_text
from sitenet.logs import run_job


def main(snakemake: Any) -> None:
    files, out = snakemake.input, snakemake.output
    standings, runs = read_standings(snakemake.params.config, files.results, files.selections)
    manifest, splits = Manifest.read(files.data), Splits.read(files.splits)
    failures = read_failures(files.failures)
    changed = read_changed(files.features)
    write_leaderboard(standings, runs, manifest, splits, failures, out.csv, out.markdown, changed)
    write_trials(standings, runs, manifest, out.trials_csv, out.trials_markdown)
    write_comparisons(standings, manifest, out.comparisons)
    if out.ablation:
        write_ablation(compare_trials(runs, standings.plan), standings.plan, manifest, *out.ablation)
    write_failures(failures, out.failures)
    write_text(out.config, yaml.safe_dump(snakemake.params.config, sort_keys=False))


if __name__ == "__main__":
    run_job(main, snakemake)
