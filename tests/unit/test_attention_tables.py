"""Tables and figures of the analysis of attention, from runs whose errors are known."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from sitenet.config.benchmark import Benchmark
from sitenet.errors import UserError
from sitenet.evaluation.attention.analysis import DESCRIPTORS, AttentionAnalysis
from sitenet.evaluation.attention.record import FILE, AttentionOfRun, AttentionRecord
from sitenet.evaluation.attention.tables import write_attention_tables
from sitenet.evaluation.figures import ATTENTION_FIGURES, maps_of_trial
from sitenet.evaluation.figures.attention_maps import column_shares, weight_range
from sitenet.evaluation.figures.style import save_figure
from sitenet.evaluation.page.attention import attention_section
from sitenet.evaluation.runs import Run
from sitenet.evaluation.statistics.paired import paired_difference
from tests.unit.benchmark_runs import SITENET, planned, results_of, write_run
from tests.unit.test_config import ROOT

N, CUTOFFS = (
    60,
    {3.0: 1.5, 5.0: 1.005, 9.0: 1.02, 12.0: 1.004, np.inf: 1.0},
)  # errors as multiples of those of all pairs
TRIAL, OTHER = SITENET[:2]


def analysed(run: Run, with_attention: bool = True) -> AttentionOfRun:
    """An analysis whose errors at each cut-off are a multiple of the run's."""
    frame = run.predictions()
    error = frame["prediction"] - frame["target"].fillna(0.0)
    predictions = [
        pd.DataFrame({"id": frame.index, "cutoff": r, "prediction": frame["target"].fillna(0.0) + factor * error})
        for r, factor in CUTOFFS.items()
    ]
    record = AttentionRecord(key=run.result.key, cutoffs=(3.0, 5.0, 9.0, 12.0), n_crystals=len(frame), reach=14.0)
    empty = pd.DataFrame()
    if not with_attention:
        return AttentionOfRun(record, empty, empty, empty, empty, pd.concat(predictions, ignore_index=True))
    numbers = {"block": [1, 1], "head": [1, 2]}
    heads = pd.DataFrame({**numbers, "self_weight": [0.2, 0.4], "entropy": 2.0, "mean_distance": [4.0, 5.5]})
    uniform = {"uniform_entropy": 3.0, "uniform_mean_distance": 5.0, "uniform_half_distance": 5.0}
    heads = heads.assign(half_distance=[3.0, 5.0], **uniform)
    distances = np.tile(np.arange(56) * 0.25, 2)
    profiles = pd.DataFrame({"block": 1, "head": np.repeat([1, 2], 56), "distance": distances})
    profiles["attention"] = np.repeat([0.8, 0.6], 56) / 56
    maps = pd.DataFrame({"block": 1, "head": [1, 1, 2], "distance": [2.0, 2.0, 3.5], "log_weight": [-2.0, -3.0, -1.0]})
    crystals = pd.DataFrame({"id": frame.index, "coefficient": np.arange(len(frame)) + 0.0, "block": 1, "head": 2})
    crystals = crystals.assign(distance=3.0, weight=0.1, elements="O-Mg")
    for name in list(DESCRIPTORS)[:5]:
        crystals[name] = -crystals["coefficient"]
    table = pd.concat(predictions, ignore_index=True)
    return AttentionOfRun(record, heads, profiles, maps.assign(pairs=[3.0, 1.0, 2.0]), crystals, table)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    folder, random = tmp_path_factory.mktemp("runs"), np.random.default_rng(0)
    return [
        write_run(folder, trial, fold, random.normal(size=N), seed)
        for trial in (TRIAL, OTHER)
        for fold in (0, 1)
        for seed in (0, 1)
    ]


@pytest.fixture(scope="module")
def analysis(runs: list[Run]) -> AttentionAnalysis:
    for run in runs:
        analysed(run).write(run.folder)
    results = results_of(runs, planned(seeds=(0, 1)))
    return AttentionAnalysis.read([run.folder / FILE for run in runs], results)


def test_errors_by_cutoff_are_paired_with_those_of_all_pairs(analysis: AttentionAnalysis, runs: list[Run]) -> None:
    table: Any = analysis.cutoffs[analysis.cutoffs["trial"] == TRIAL].set_index("cutoff")
    assert list(table.index) == list(CUTOFFS)
    errors = {k: np.stack([run.crystal_errors() for run in own]) for k, own in enumerate((runs[:2], runs[2:4]))}
    assert table.loc[np.inf, "mae"] == pytest.approx(np.mean(list(errors.values())))
    expected = paired_difference({k: 0.5 * own for k, own in errors.items()})
    assert table.loc[3.0, ["difference", "difference_low", "difference_high"]].tolist() == pytest.approx(expected)
    assert table.loc[3.0, "mae"] == pytest.approx(1.5 * table.loc[np.inf, "mae"])
    assert table.loc[3.0, "change"] == pytest.approx(0.5 * np.mean(list(errors.values())))
    signed = [0.5 * (run.predictions()["prediction"] - run.predictions()["target"]).mean() for run in runs[:4]]
    assert table.loc[3.0, "shift"] == pytest.approx(np.mean(signed))
    assert table["n_test"].tolist() == [2 * N] * len(CUTOFFS)
    assert table.loc[5.0, "attention"] == pytest.approx(0.3 + 0.7 * 5 / 14)


def test_the_range_that_is_used_begins_where_all_larger_cutoffs_are_the_same(analysis: AttentionAnalysis) -> None:
    """At 5 angstrom the MAE is within 1 %, at 9 it is not."""
    assert analysis.range_used(TRIAL) == 12.0
    section = attention_section(analysis)
    assert section is not None
    assert "from a cut-off of 12 angstrom on" in section["answer"]


def test_heads_are_told_by_their_distance(analysis: AttentionAnalysis) -> None:
    assert analysis.heads["range"].tolist() == ["short", "long"] * 8
    assert analysis.heads.groupby(["trial", "fold", "seed"]).size().tolist() == [2] * 8
    assert set(analysis.names.values()) == {f"sitenet learning_rate={rate}" for rate in ("0.0008126", "0.002")}


def test_crystals_have_their_error_and_correlations_are_within_folds(
    analysis: AttentionAnalysis, runs: list[Run]
) -> None:
    first: Any = analysis.crystals.head(N).set_index("id")
    pd.testing.assert_series_equal(first["error"], runs[0].crystal_errors(), check_names=False)
    table: Any = analysis.correlations.set_index(["trial", "descriptor"])
    assert table.loc[(TRIAL, "n_sites"), "correlation"] == pytest.approx(-1)
    assert table.loc[(TRIAL, "target"), "correlation"] == pytest.approx(1)  # both grow with the number of the crystal
    error: Any = table.loc[(TRIAL, "error")]
    assert error["low"] < error["correlation"] < error["high"]


def test_without_targets_the_change_of_predictions_is_left(tmp_path: Path) -> None:
    run = write_run(tmp_path, TRIAL, 0, np.ones(N), targets=np.full(N, np.nan))
    analysed(run, with_attention=False).write(run.folder)
    analysis = AttentionAnalysis.read([run.folder / FILE], results_of([run], planned(folds=(0,))))
    assert analysis.cutoffs["mae"].isna().all()
    assert analysis.cutoffs["change"].iloc[0] == pytest.approx(0.5)
    assert np.isnan(analysis.range_used(TRIAL))
    write_attention_tables(analysis, tmp_path)
    assert len(pd.read_csv(tmp_path / "attention_heads.csv")) == 0
    for kind in (*ATTENTION_FIGURES, maps_of_trial((TRIAL, "it"))):
        save_figure(kind.draw(analysis), [tmp_path / f"{kind.name}.svg"])


def test_tables_and_figures_are_the_same_from_the_same_runs(analysis: AttentionAnalysis, tmp_path: Path) -> None:
    contents = []
    for repeat in range(2):
        folder = tmp_path / str(repeat)
        folder.mkdir()
        again = AttentionAnalysis(analysis.results, analysis.runs, analysis.names)
        write_attention_tables(again, folder)
        for kind in (*ATTENTION_FIGURES, maps_of_trial((TRIAL, "it"))):
            save_figure(kind.draw(again), [folder / f"{kind.name}.svg", folder / f"{kind.name}.png"])
        contents.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert contents[0] == contents[1]
    assert len(contents[0]) == 4 + 2 * 4
    for path in (*folder.glob("*.csv"), folder / "attention_crystals.csv.gz"):
        columns = list(pd.read_csv(path, header=None, nrows=1).iloc[0])
        assert len(set(columns)) == len(columns), path.name


def test_columns_of_a_map_sum_to_one(analysis: AttentionAnalysis) -> None:
    maps = analysis.runs[TRIAL][0].maps
    distances, log_weights, share = column_shares(maps[maps["head"] == 1])
    assert (distances[-1], log_weights[0], share.shape) == (2.25, -3.0, (6, 9))
    np.testing.assert_allclose(share[:, -1], [0.25, 0, 0, 0, 0, 0.75])
    assert share[:, :-1].sum() == 0
    assert weight_range(maps)[0] == -3.0


@pytest.mark.parametrize(
    ("analysis", "message"),
    [
        ({"trials": ["00000000"]}, "configuration key 'analysis.trials': network '00000000' is unknown (valid: "),
        ({"trials": ["one"]}, "configuration key 'analysis.trials.0' has the value 'one'"),
        ({"folds": [7]}, "configuration key 'analysis.folds': fold '7' is unknown (valid: 0, 1, 2, 3, 4)"),
        ({"cutoffs": []}, "configuration key 'analysis.cutoffs' has the value []"),
        (
            {"cutoffs": [3, 3]},
            "configuration key 'analysis.cutoffs' has the value [3, 3]: at least one value is needed, and none",
        ),
        ({"cutoff": [3]}, "configuration key 'analysis.cutoff' is unknown; did you mean 'analysis.cutoffs'?"),
    ],
)
def test_a_wrong_analysis_is_one_line(analysis: dict, message: str) -> None:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    with pytest.raises(UserError) as caught:
        Benchmark(config | {"analysis": analysis})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_analysis_changes_no_trial_and_nothing_where_it_is_off() -> None:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    on = Benchmark(config)
    off = Benchmark(config | {"analysis": None})
    left_out = Benchmark({key: value for key, value in config.items() if key != "analysis"})
    assert on.trials.keys() == off.trials.keys()
    assert (off.analysed, off.digest) == (((), ()), left_out.digest)
    assert Benchmark(config | {"analysis": "null"}).digest == off.digest  # as `--config analysis=null` passes it
    assert "analysis" not in off.resolved()
    assert on.analysed == (tuple(on.networks), (0, 1, 2, 3, 4))
    chosen = tuple(on.networks)[:1]
    assert Benchmark(config | {"analysis": {"trials": chosen, "folds": [2]}}).analysed == (chosen, (2,))
