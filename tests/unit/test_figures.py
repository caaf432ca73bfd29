import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection, PolyCollection

from sitenet.evaluation.figures import FIGURES, FigureKind
from sitenet.evaluation.figures.ablation import ablation_figure
from sitenet.evaluation.figures.epoch_curves import epoch_curves_figure
from sitenet.evaluation.figures.leaderboard import leaderboard_figure
from sitenet.evaluation.figures.parity import parity_figure
from sitenet.evaluation.figures.shift import shift_figure
from sitenet.evaluation.figures.style import save_figure
from sitenet.evaluation.other import OtherBenchmark
from sitenet.evaluation.results import Results
from sitenet.evaluation.runs import Run
from sitenet.evaluation.selection import SelectedTrial, Selection
from sitenet.evaluation.tables.rounding import measured
from tests.unit.benchmark_runs import FOREST, SITENET, planned, results_of, write_benchmark, write_run

OF_REGRESSION = [kind for kind in FIGURES if kind.task != "classification"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    return write_benchmark(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def results(runs: list[Run]) -> Results:
    return results_of(runs)


@pytest.mark.parametrize("kind", OF_REGRESSION, ids=lambda kind: kind.name)
def test_same_input_same_bytes(kind: FigureKind, results: Results, tmp_path: Path) -> None:
    paths = [[tmp_path / f"{kind.name}{repeat}.{suffix}" for suffix in ("svg", "png")] for repeat in range(2)]
    for repeat in paths:
        save_figure(kind.draw(results), repeat)
    for first, second in zip(*paths, strict=True):
        assert first.read_bytes() == second.read_bytes()
    assert ET.parse(paths[0][0]).getroot().tag.endswith("svg")
    assert paths[0][1].read_bytes().startswith(b"\x89PNG")


def test_parity_panels_show_every_crystal_and_the_leaderboards_error(results: Results) -> None:
    standings = results.standings
    panels = parity_figure(results).axes
    assert [panel.get_title(loc="left").split("\n")[0] for panel in panels] == [row.model for row in standings.rows]
    assert f"MAE {measured(*standings.score(0))} eV" in panels[0].get_title(loc="left")
    points = np.asarray(panels[0].collections[0].get_offsets())
    assert len(points) == 60
    assert panels[0].get_xlim() == panels[0].get_ylim() == panels[1].get_ylim()
    assert panels[0].get_xlim()[0] < points.min()
    assert points.max() < panels[0].get_xlim()[1]


def test_parity_shows_every_seed_and_the_ensemble_their_mean(tmp_path: Path) -> None:
    trial, errors = SITENET[0], ([1.0, 2.0], [3.0, 0.0])
    own = [write_run(tmp_path, trial, 0, values, seed) for seed, values in enumerate(errors)]
    results = results_of(own, planned(folds=(0,), seeds=(0, 1)), n_resamples=10)
    points = [np.asarray(panel.collections[0].get_offsets()).tolist() for panel in parity_figure(results).axes]
    assert [row.is_ensemble for row in results.standings.rows[:2]] == [False, True]  # equal errors, then by name
    assert points == [[[0.0, 1.0], [1.0, 3.0], [0.0, 3.0], [1.0, 1.0]], [[0.0, 2.0], [1.0, 2.0]]]


def test_many_points_are_shaded_by_density(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, FOREST, 0, np.random.default_rng(0).normal(size=3000))]
    panel, colour_bar = parity_figure(results_of(runs, planned(folds=(0,)), n_resamples=10)).axes
    assert colour_bar.get_ylabel() == "crystals"
    kinds = {type(collection) for collection in panel.collections}
    assert PathCollection not in kinds
    (bins,) = (c for c in panel.collections if isinstance(c, PolyCollection))
    assert np.asarray(bins.get_array()).sum() == 3000


def test_intervals_are_those_of_the_leaderboard(results: Results) -> None:
    standings = results.standings
    (axes,) = leaderboard_figure(results).axes
    (bars,) = (c for c in axes.collections if isinstance(c, LineCollection))
    drawn = [segment[:, 0].tolist() for segment in bars.get_segments()]
    assert drawn == [pytest.approx(standings.score(i)[1:]) for i in range(len(standings.rows))]
    assert [label.get_text() for label in axes.get_yticklabels()] == [row.model for row in standings.rows]


def test_long_names_leave_room_for_the_axes(results: Results) -> None:
    rows = [
        replace(row, model=f"external (a network with a long name, {row.model * 5})") for row in results.standings.rows
    ]
    named = replace(results, standings=replace(results.standings, rows=rows))
    for draw in (leaderboard_figure, parity_figure):
        figure = draw(named)
        figure.draw_without_rendering()
        assert min(axes.get_position().width * figure.get_figwidth() for axes in figure.axes[:4]) > 2
    left, right = (axes._left_title.get_window_extent() for axes in figure.axes[:2])  # type: ignore[attr-defined]
    assert not left.overlaps(right)


def test_both_errors_of_a_model_and_their_difference(results: Results) -> None:
    here = results.standings.rows[0]
    errors = {here.model: pd.concat([here.fold_errors(fold) for fold in here.runs]) / 2}
    trials = frozenset(here.chosen.values())
    other = OtherBenchmark("before", "grouped_kfold", trials, errors, pd.Series(dtype=float))
    figure = shift_figure(replace(results, other=other))
    (axes,) = figure.axes
    drawn = np.ravel([line.get_xdata() for line in axes.get_lines()])
    mae = results.standings.score(0).value
    assert drawn == pytest.approx([mae / 2, mae])
    assert [label.get_text() for label in axes.get_yticklabels()] == [here.model]
    (difference,) = axes.child_axes[0].get_yticklabels()
    assert difference.get_text().startswith(f"+{mae / 2:.3f} [")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["formulas held out", "random folds"]


def test_curves_have_one_panel_a_network_trial_and_end_with_the_shortest_run(results: Results) -> None:
    panels = epoch_curves_figure(results).axes
    assert sorted(panel.get_title(loc="left").split()[1] for panel in panels) == sorted(SITENET)
    assert SITENET[1] in panels[0].get_title(loc="left")  # lowest validation MAE first
    assert "blocks = " in panels[0].get_title(loc="left")
    means = {
        line.get_label(): np.asarray(line.get_ydata()) for line in panels[0].get_lines() if line.get_linewidth() > 1
    }
    assert means["validation"][:3] == pytest.approx([2.5, 1.25, 2.5 / 3])
    assert np.isnan(means["validation"][3])  # fold 0 has three epochs, fold 1 four
    assert np.isnan(means["training"][0])  # not known in the first epoch


@pytest.mark.parametrize("kind", OF_REGRESSION, ids=lambda kind: kind.name)
def test_figures_of_nothing_are_empty_and_no_error(kind: FigureKind, tmp_path: Path) -> None:
    save_figure(kind.draw(results_of([], n_resamples=10)), [tmp_path / "empty.svg"])
    assert (tmp_path / "empty.svg").read_text().rstrip().endswith("</svg>")


def test_outliers_stand_at_the_edge_of_the_parity_panel_and_are_counted(tmp_path: Path) -> None:
    errors = np.zeros(3000)
    errors[:3] = 1e5
    runs = [write_run(tmp_path, FOREST, 0, errors, targets=np.linspace(0, 10, 3000))]
    panel, _ = parity_figure(results_of(runs, planned(folds=(0,)), n_resamples=10)).axes
    assert panel.get_xlim()[1] < 20
    assert panel.get_title(loc="left").startswith("random_forest\nMAE ")
    assert [text.get_text() for text in panel.texts] == ["3 outside"]
    (edge,) = (line for line in panel.lines if line.get_marker() == "^")
    assert np.shape(edge.get_xdata()) == (3,)


def test_a_trial_that_diverged_does_not_flatten_the_others(tmp_path: Path) -> None:
    errors = dict(zip(SITENET, (0.7, 0.5, 0.4, 1e4), strict=True)) | {FOREST: 0.5}
    noise = np.random.default_rng(0).uniform(0.5, 1.5, 60)
    runs = [write_run(tmp_path, trial, fold, e * noise) for trial, e in errors.items() for fold in (0, 1)]
    results = results_of(runs)
    (ablation,) = ablation_figure(results).axes
    assert ablation.get_xlim()[1] < 10
    assert any(text.get_text().strip().startswith("+1") for text in ablation.texts)
    chosen = {k: Selection(trials={"sitenet": SelectedTrial(trial=SITENET[3], validation_error=1.0)}) for k in (0, 1)}
    (axes,) = leaderboard_figure(results_of(runs, selections=chosen)).axes
    assert axes.get_xscale() == "log"
    low, high = axes.get_xlim()
    assert sum(low <= tick <= high for tick in axes.get_xticks()) >= 3


def test_text_in_vector_graphics_is_text(results: Results, tmp_path: Path) -> None:
    save_figure(leaderboard_figure(results), [tmp_path / "leaderboard.svg"])
    root = ET.parse(tmp_path / "leaderboard.svg").getroot()
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {row.model for row in results.standings.rows} <= set(texts)
