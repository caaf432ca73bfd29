"""Results of all runs -> leaderboard chart, parity plots, learning curves and what the grid compares."""

from typing import Any

from sitenet.data.manifest import Manifest
from sitenet.evaluation.ablation import compare_trials
from sitenet.evaluation.ablation_figure import ablation_figure
from sitenet.evaluation.figures import interval_figure, parity_figure, save_figure
from sitenet.evaluation.learning_curves import learning_curve_figure
from sitenet.evaluation.standings import read_standings
from sitenet.evaluation.training_size import training_size_figure
from sitenet.logs import run_job


def main(snakemake: Any) -> None:
    files, out = snakemake.input, snakemake.output
    standings, runs = read_standings(snakemake.params.config, files.results, files.selections)
    data = Manifest.read(files.data)
    save_figure(interval_figure(standings, data.unit), out.leaderboard)
    save_figure(parity_figure(standings, data.target, data.unit), out.parity)
    save_figure(learning_curve_figure(runs, standings.plan, data.unit), out.curves)
    if out.ablation:
        save_figure(ablation_figure(compare_trials(runs, standings.plan), data.unit), out.ablation)
    if out.training_size:
        save_figure(training_size_figure(runs, standings.plan, data.unit), out.training_size)


if __name__ == "__main__":
    run_job(main, snakemake)
