from pathlib import Path

import numpy as np
import pytest
import yaml
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sitenet.config.grid import expand_grid
from sitenet.evaluation.figures import training_size
from sitenet.evaluation.figures.style import save_figure
from sitenet.evaluation.figures.training_size import COLOURS, training_size_figure, trial_families
from sitenet.evaluation.runs import PlannedRuns, Run
from tests.unit.benchmark_runs import SIZE_TRIALS, SIZES, results_of, write_epochs, write_run

PLANNED = PlannedRuns(SIZE_TRIALS, folds=(0, 1), seeds=(0, 1))
PUBLISHED, RADIAL = (
    [trial for trial, settings in SIZE_TRIALS.items() if settings["model"]["kind"] == kind]
    for kind in ("sitenet", "sitenet_radial")
)


def write_runs(root: Path, targets: list[float] | None = None) -> list[Run]:
    """Errors fall with the size of the training set, differ between folds and by 0.1 between seeds."""
    runs = []
    for trials, scale in ((PUBLISHED, 1.0), (RADIAL, 0.8)):
        for trial in trials:
            level = scale * (1 if SIZE_TRIALS[trial]["training"]["max_crystals"] else 0.5)
            for fold in PLANNED.folds:
                for seed in PLANNED.seeds:
                    errors = np.full(4, level + 0.2 * fold + 0.1 * seed)
                    runs.append(write_run(root, trial, fold, errors, seed, 2 * level, targets))
    return runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    return write_runs(tmp_path_factory.mktemp("runs"))


def draw(runs: list[Run]) -> Figure:
    return training_size_figure(results_of(runs, PLANNED, n_resamples=10))


def lines_of(figure: Figure, panel: int, color: str, marker: str = "None") -> list[Line2D]:
    lines = figure.axes[panel].get_lines()
    return [line for line in lines if line.get_color() == color and line.get_marker() == marker]


def test_trials_that_differ_in_size_and_duration_are_one_family() -> None:
    families = trial_families(PLANNED)
    assert [family.name for family in families] == ["sitenet", "sitenet_radial"]
    assert families[0].trials == dict(zip(PUBLISHED, SIZES, strict=True))
    assert families[1].trials == dict(zip(RADIAL, (10, None), strict=True))


def test_other_settings_and_durations_of_one_size_make_families() -> None:
    training = {"max_crystals": [10, None], "max_epochs": [5, 6]}
    grid = expand_grid([{"model": {"kind": "sitenet", "cutoff": [None, 5.0]}, "training": training}])
    families = trial_families(PlannedRuns({id_: trial.settings for id_, trial in grid.items()}, (0,), (0,)))
    assert sorted(family.name for family in families) == [
        f"sitenet, cutoff = {cutoff}, max_epochs = {epochs}" for cutoff in ("5.0", "null") for epochs in (5, 6)
    ]
    assert all(sorted(family.trials.values(), key=str) == [10, None] for family in families)


def test_batches_that_suit_the_size_do_not_divide_a_family() -> None:
    cutoff = yaml.safe_load((Path(__file__).parents[2] / "configs/cutoff.yaml").read_text())
    grid = expand_grid(cutoff["grid"])
    families = trial_families(PlannedRuns({id_: trial.settings for id_, trial in grid.items()}, (1,), (0,)))
    assert [family.name for family in families] == [
        f"sitenet, cutoff = {cutoff}, max_sites = {sites}" for sites in (100, 50) for cutoff in ("null", "5.0")
    ]
    assert all(list(family.trials.values()) == [1000, 10000] for family in families)


def test_lines_join_means_over_seeds_and_folds_of_the_test_error(runs: list[Run]) -> None:
    figure = draw(runs)
    assert figure.axes[0].get_ylabel() == "test MAE (eV)"
    lowest_first = [RADIAL, PUBLISHED]
    (radial,), (published,) = (lines_of(figure, 0, COLOURS[i], "o") for i in range(len(lowest_first)))
    assert np.asarray(radial.get_xydata()) == pytest.approx(np.array([[10, 0.95], [90, 0.55]]))
    assert np.asarray(published.get_xydata()) == pytest.approx(np.array([[10, 1.15], [30, 1.15], [90, 0.65]]))
    (points,) = lines_of(figure, 0, COLOURS[0], ".")
    assert len(np.asarray(points.get_xdata())) == 8
    assert sorted(label.get_text() for label in figure.axes[0].get_xticklabels()) == ["10", "30", "90"]


def test_every_fold_counts_the_same_whatever_its_seeds(runs: list[Run]) -> None:
    done = [run for run in runs if run.folder.parts[-2:] != ("fold1", "seed1")]
    (radial,) = lines_of(draw(done), 0, COLOURS[0], "o")
    assert np.asarray(radial.get_ydata())[0] == pytest.approx(np.mean([0.85, 1.0]))


def test_validation_error_stands_in_for_withheld_targets_and_the_axis_says_so(tmp_path: Path) -> None:
    figure = draw(write_runs(tmp_path, targets=[np.nan] * 4))
    assert figure.axes[0].get_ylabel() == "validation MAE (eV)"
    (radial,) = lines_of(figure, 0, COLOURS[0], "o")
    assert np.asarray(radial.get_ydata()) == pytest.approx([1.6, 0.8])


def test_time_is_in_minutes_and_ends_with_the_shortest_run(tmp_path: Path) -> None:
    trial = RADIAL[0]
    runs = [write_run(tmp_path, trial, fold, [1.0]) for fold in PLANNED.folds]
    write_epochs(runs[1].folder, n_epochs=2)
    lines = lines_of(draw(runs), 1, COLOURS[0])
    (mean,) = (line for line in lines if line.get_linewidth() > 1)
    assert len(lines) == 3
    assert np.asarray(mean.get_xdata())[:2] == pytest.approx([0.1, 0.2])
    assert np.asarray(mean.get_ydata()) == pytest.approx([2.5, 1.25, np.nan], nan_ok=True)


def test_line_styles_tell_the_sizes_apart(runs: list[Run]) -> None:
    figure = draw(runs)
    styles = {line.get_linestyle() for line in lines_of(figure, 1, COLOURS[1])}
    assert styles == {"-", "--", ":"}
    names = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert names == ["sitenet_radial", "sitenet", "all crystals", "30 crystals", "10 crystals"]


def test_best_of_many_networks_are_shown(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_size, "COLOURS", COLOURS[:1])
    figure = draw(runs)
    assert figure.get_suptitle() == "1 of 2 networks, lowest validation MAE first"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["sitenet_radial"]


def test_same_runs_same_bytes_and_no_runs_no_error(runs: list[Run], tmp_path: Path) -> None:
    paths = [tmp_path / f"{repeat}.svg" for repeat in range(2)]
    for path in paths:
        save_figure(draw(runs), [path])
    assert paths[0].read_bytes() == paths[1].read_bytes()
    save_figure(draw([]), [tmp_path / "empty.svg"])
