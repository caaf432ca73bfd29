"""Records of the runs that are done -> leaderboard, trials and ablation, with the number of runs missing."""

from pathlib import Path
from typing import Any

from sitenet.data.manifest import Manifest, Splits
from sitenet.evaluation.ablation import compare_trials
from sitenet.evaluation.runs import Plan, Run
from sitenet.evaluation.selection import select_trials
from sitenet.evaluation.standings import compute_standings
from sitenet.evaluation.tables import read_changed, read_failures, write_ablation, write_leaderboard, write_trials
from sitenet.logs import run_job


def main(snakemake: Any) -> None:
    files, config, out = snakemake.input, snakemake.params.config, Path(snakemake.output[0])
    plan = Plan(config["trials"], config["folds"], config["seeds"])
    runs = [Run.read(path) for path in snakemake.params.results]
    by_fold = {fold: [run.result for run in runs if run.result.key.fold == fold] for fold in plan.folds}
    selections = {fold: select_trials(results) for fold, results in by_fold.items()}
    standings = compute_standings(runs, selections, plan, config["resamples"])
    manifest, splits = Manifest.read(files.data), Splits.read(files.splits)
    out.mkdir(parents=True, exist_ok=True)
    failures, changed = read_failures(files.failures), read_changed(files.features)
    tables = (out / "leaderboard.csv", out / "leaderboard.md")
    write_leaderboard(standings, runs, manifest, splits, failures, *tables, changed)
    write_trials(standings, runs, manifest, out / "trials.csv", out / "trials.md")
    if changes := compare_trials(runs, plan):
        write_ablation(changes, plan, manifest, out / "ablation.csv", out / "ablation.md")


if __name__ == "__main__":
    run_job(main, snakemake)
