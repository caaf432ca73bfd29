"""Searches: distributions in the grid, what is drawn, which trials go on, and that stopped trainings lose nothing."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sitenet.config.benchmark import Benchmark
from sitenet.config.search import Rung
from sitenet.config.trial import Trial
from sitenet.errors import UserError
from sitenet.records import RunResult
from sitenet.search.decide import best, next_stage
from sitenet.search.sampling import draw
from sitenet.search.stage import Stage, network_of, stopped_epochs, with_stages
from sitenet.training.batching import DivergedError
from sitenet.training.run import TrainJob, train
from sitenet.training.trainer import Trainer
from tests.training_case import Inputs, write_inputs
from tests.unit.search_case import ENTRY, SEARCH, config, error_of, play, record, the_search


def changed(section: str, **values: Any) -> dict[str, Any]:
    return ENTRY | {section: ENTRY.get(section, {}) | values}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (config(changed("training", learning_rate={"log_uniform": [0, 1]})), "a logarithmic range begins above 0"),
        (config(changed("training", learning_rate={"uniform": [0.1, 0.01]})), r"\[lowest, highest\] is needed"),
        (config(changed("training", learning_rate={"uniform": 0.1})), "a list is needed"),
        (config(changed("training", learning_rate={"uniform": [1e-4, 2.0]})), "grid.0.training.learning_rate.* 2.0"),
        (
            config(changed("training", learning_rate={"log_unifrm": [1e-4, 1]})),
            "'log_unifrm' is unknown; did you mean 'log_uniform'",
        ),
        (config(changed("training", learning_rate={"uniform": [0, 1], "choice": [1, 2]})), "it needs one of uniform"),
        (
            config(changed("training", learning_rat={"uniform": [0.1, 0.2]})),
            "learning_rat' is unknown",
        ),
        (config(changed("training", loss={"choice": ["l1", "l3"]})), "grid.0.training.loss.*'l3'"),
        (config(changed("training", epsilon=-1)), "grid.0.training.epsilon.*greater than 0"),
        (config(changed("model", blocks={"integer": [1.0, 4]})), "two integers"),
        (config(changed("model", blocks={"choice": [2]})), "at least two values are needed"),
        (config(changed("model", blocks={"choice": [2, 2]})), "none may be repeated"),
        (config(changed("training", ema_decay={"choice": ["1e-1", 0.1]})), "none may be repeated"),
        (config(changed("training", start_from={"choice": [None, ""]})), "at least 1 character"),
        (config(changed("model", heads=[4, 8])), r"is a scan in an entry with distributions: write \{choice"),
        (config(changed("features", radius={"uniform": [3, 8]})), "features need a choice"),
        (config(changed("training", max_epochs={"integer": [3, 9]})), "'grid.0.training.max_epochs' is a distribution"),
        (config(changed("training", max_minutes=3)), "halving counts epochs"),
        (config(search=SEARCH | {"min_epochs": 10}), "stops no trial of 'grid.0': it has 27 trials of 27 epochs"),
        (config(search=SEARCH | {"sampler": "grid"}), "'search.sampler' has the value 'grid'"),
        (config(search={"halving": 3}), "'search.trials' is missing"),
        (config(search=None), "'grid.0.model.blocks' is a distribution, but the key 'search' is missing"),
        (config({"model": {"kind": "dummy"}}), "no grid entry has a distribution"),
        (config({"model": {"kind": "random_forest", "n_trees": {"integer": [5, 9]}}}), "only networks are searched"),
    ],
)
def test_what_is_wrong_is_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        Benchmark(values)
    assert "\n" not in str(error.value)


def test_networks_to_start_from_are_there_before_anything_runs(tmp_path: Path) -> None:
    for start in ("nofile.pt", {"choice": [None, str(tmp_path)]}):
        benchmark = Benchmark(config(changed("training", start_from=start)))
        with pytest.raises(UserError, match=r"'training.start_from' has the value '\S+': there is no such file"):
            benchmark.check_starts("none")
    Benchmark(config(changed("training", start_from={"choice": [None, "band-gap"]}))).check_starts("none")


def test_numbers_without_a_point_are_numbers() -> None:
    """YAML reads 1e-4 as text."""
    (search,) = Benchmark(config(changed("training", learning_rate={"log_uniform": ["1e-4", 0.01]}))).searches.values()
    assert search.space.distributions["training.learning_rate"].values == (1e-4, 0.01)


def test_rungs_of_halving() -> None:
    assert the_search().rungs == (Rung(27, 1), Rung(9, 3), Rung(3, 9), Rung(1, 27))
    assert the_search(min_epochs=3).rungs == (Rung(27, 3), Rung(9, 9), Rung(3, 27))
    assert the_search(trials=8, halving=2, min_epochs=5).rungs == (Rung(8, 7), Rung(4, 14), Rung(2, 27))
    assert the_search(trials=3, halving=3).rungs == (Rung(3, 9), Rung(1, 27))
    assert the_search(halving=None).rungs == (Rung(27, None),)


def test_stages_draw_batches_then_promote_then_name_the_best() -> None:
    search = the_search(sampler="tpe", batch=10, min_epochs=3)
    assert search.batches == (10, 10, 7)
    assert [search.rung_of(stage) for stage in range(search.n_stages)] == [0, 0, 0, 1, 2, None]
    assert [list(search.decided_by(stage)) for stage in range(6)] == [[], [0], [0, 1], [0, 1, 2], [3], [4]]
    assert the_search(sampler="random").batches == (27,)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_the_same_seed_gives_the_same_trials(sampler: str) -> None:
    search = the_search(sampler=sampler, batch=9)
    first, second = play(search), play(the_search(sampler=sampler, batch=9))
    assert first == second
    drawn = [trial for stage in first for trial in stage.trials if stage.epochs == 1]
    assert len(drawn) == len(set(drawn)) == 27
    other = play(the_search(sampler=sampler, batch=9, seed=1))
    assert not set(drawn) & {trial for stage in other for trial in stage.trials}


def test_more_trials_begin_with_the_same_ones() -> None:
    few, many = (list(draw(the_search(), {}, {}, n)) for n in (5, 8))
    assert many[:5] == few


def test_the_estimator_learns_from_validation_errors() -> None:
    search = the_search(sampler="tpe", trials=60, batch=10, halving=None)
    batches = [stage for stage in play(search) if not stage.is_last]
    errors = [np.mean([error_of(Trial.from_settings(s)) for s in stage.trials.values()]) for stage in batches]
    assert np.mean(errors[3:]) < np.mean(errors[:1])


def test_what_is_drawn_lies_in_its_distribution_and_can_be_written() -> None:
    for values in draw(the_search(), {}, {}, 50).values():
        assert 1 <= values["model.blocks"] <= 4
        assert values["model.width"] in (64, 96)
        assert 1e-4 <= values["training.learning_rate"] <= 1e-2
        assert len(f"{values['training.learning_rate']:.3e}".rstrip("0")) <= 9
        assert float(f"{values['model.dropout']:.4g}") == values["model.dropout"]


def test_values_that_do_not_go_together_are_not_drawn() -> None:
    search = the_search(changed("model", heads={"choice": [3, 8]}, width={"choice": [60, 64]}))
    found = draw(search, {}, {}, 40)
    assert {(v["model.heads"], v["model.width"]) for v in found.values()} == {(3, 60), (8, 64)}
    own = {"features": {"radius": 5.0, "moments": 2}}
    model = {"moments": {"choice": [2, 4]}, "cutoff": {"choice": [5.0, 6.0]}, "envelope": True}
    found = draw(the_search(changed("model", **model) | own), {}, {}, 40)
    assert {(v["model.moments"], v["model.cutoff"]) for v in found.values()} == {(2, 5.0)}
    with pytest.raises(UserError, match=r"none is valid; configuration key 'grid.0.model': moments 2 need as many"):
        the_search(changed("model", moments=2))
    with pytest.raises(UserError, match="none is valid"):
        the_search(changed("model", heads={"choice": [3, 7]}, width={"choice": [64, 65]}))
    multiple = the_search(changed("model", heads=8, width={"integer": [61, 67]}))
    assert {v["model.width"] for v in draw(multiple, {}, {}, 9).values()} == {64}


def test_a_small_space_is_drawn_once() -> None:
    entry = {"model": {"kind": "sitenet", "blocks": {"choice": [1, 2, 3]}}, "training": {"max_epochs": 27}}
    search = the_search(entry, sampler="tpe", halving=None)
    first = draw(search, {}, {}, 9)
    assert sorted(v["model.blocks"] for v in first.values()) == [1, 2, 3]
    assert draw(search, first, dict.fromkeys(first, 1.0), 9) == {}


def test_the_best_go_on_and_the_best_of_all_is_last() -> None:
    search = the_search(min_epochs=3)
    stages = play(search)
    assert [(len(stage.trials), stage.epochs) for stage in stages] == [(27, 3), (9, 9), (3, 27), (1, None)]
    ranked = sorted(stages[0].trials, key=lambda trial: error_of(Trial.from_settings(stages[0].trials[trial])))
    assert [list(stage.trials) for stage in stages[1:]] == [ranked[:9], ranked[:3], ranked[:1]]
    assert stages[-1].is_last
    longest = stopped_epochs(stages)
    assert sorted(longest.values()) == [3] * 18 + [9] * 6 + [27] * 2
    assert (ranked[0], 0) not in longest
    assert network_of(stages, ranked[5]).id == ranked[5]
    with pytest.raises(UserError, match="neither in the grid nor drawn"):
        network_of(stages, "00000000")


def test_a_training_that_diverged_does_not_go_on() -> None:
    search = the_search(sampler="tpe", batch=9, min_epochs=3)
    ranked = list(play(search)[3].trials)
    stages = play(search, diverging=ranked[:1])
    assert ranked[0] in stages[0].trials.keys() | stages[1].trials.keys() | stages[2].trials.keys()
    assert all(ranked[0] not in stage.trials for stage in stages[3:])
    with pytest.raises(UserError, match="no training of the search has a finite validation error"):
        best({"a": math.inf, "b": math.nan}, 1)


def test_seeds_are_averaged_and_records_of_others_refused() -> None:
    search = the_search(min_epochs=3)
    first = next_stage(search, 1, [], [])
    records = [record(trial, settings, 1) for trial, settings in first.trials.items()]
    with pytest.raises(UserError, match="has no record"):
        next_stage(search, 1, [first], records[1:])
    with pytest.raises(UserError, match="not of this stage"):
        next_stage(search, 0, [first], records)
    worst = max(records, key=lambda r: r.validation_error)
    lucky = worst.model_copy(update={"validation_error": 0.0})
    promoted = next_stage(search, 1, [first], [*records, lucky]).trials
    assert (worst.key.trial in promoted) == (
        worst.validation_error / 2 < sorted(r.validation_error for r in records)[8]
    )


def test_a_damaged_or_misplaced_stage_is_refused(tmp_path: Path) -> None:
    stage = next_stage(the_search(), 0, [], [])
    stage.write(tmp_path / "stage0.json")
    assert Stage.of(tmp_path / "stage0.json", stage.search, 0) == Stage.read(tmp_path / "stage0.json")
    with pytest.raises(UserError, match="is of the search"):
        Stage.of(tmp_path / "stage0.json", stage.search, 1)
    content = (tmp_path / "stage0.json").read_text()
    (tmp_path / "stage0.json").write_text(content.replace('"epochs": 1,', '"epochs": 2,'))
    with pytest.raises(UserError, match="is damaged"):
        Stage.of(tmp_path / "stage0.json", stage.search, 0)


def test_the_resolved_configuration_gains_trials_by_fold() -> None:
    benchmark = Benchmark(config(ENTRY, {"model": {"kind": "dummy"}}))
    (search,) = benchmark.searches.values()
    stages = [stage for fold in (0, 1) for stage in play(search, fold)]
    whole = with_stages(benchmark.resolved(), stages)
    assert len(whole["trials"]) == 28
    assert {fold: len(trials) for fold, trials in whole["searched"].items()} == {0: 27, 1: 27}
    assert json.loads(json.dumps(whole["trials"])) == json.loads(json.dumps(whole["trials"]))
    assert with_stages(benchmark.resolved(), []) == benchmark.resolved()


def test_without_a_search_nothing_changes() -> None:
    plain = Benchmark(config({"model": {"kind": "dummy"}}, search=None))
    assert "search" not in plain.resolved()
    assert plain.searches == {}


# Trainings that stop and go on.


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    last = torch.load(folder / "last.pt", weights_only=True)
    return {f"{kind} {name}": last[kind][name] for kind in ("model", "averaged", "best") for name in last[kind]}


def history(folder: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "crystals_per_second")} for row in rows]


@pytest.mark.parametrize("schedule", ["one_cycle", "constant"])
def test_a_stopped_training_goes_on_with_the_same_bits(inputs: Inputs, tmp_path: Path, schedule: str) -> None:
    whole = inputs.job(tmp_path / "whole", max_epochs=4, schedule=schedule)
    parts = replace(whole, folder=tmp_path / "parts")
    for job in (whole, parts):
        job.folder.mkdir()
    train(whole)
    for epochs in (1, 2, 4):
        train(replace(parts, epochs=epochs))
        assert not (parts.folder / "best.pt").exists()
        assert len(history(parts.folder)) == epochs
    train(parts)
    first, second = tensors(whole.folder), tensors(parts.folder)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert history(whole.folder) == history(parts.folder)
    final = RunResult.read(parts.folder / "run.json")
    assert final.validation_error == RunResult.read(whole.folder / "run.json").validation_error
    maes = [RunResult.read(parts.folder / f"epochs{n}.json") for n in (1, 2, 4)]
    assert [record.epochs for record in maes] == [1, 2, 4]
    assert maes[0].validation_error >= maes[1].validation_error >= maes[2].validation_error == final.validation_error
    assert maes[0].cost.seconds < maes[1].cost.seconds < maes[2].cost.seconds <= final.cost.seconds


def test_a_stopped_training_begins_anew_where_the_data_have_changed(
    inputs: Inputs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a search most trainings are stopped; nobody removes their checkpoints by hand."""
    job = replace(inputs.job(tmp_path, max_epochs=3), epochs=1)
    train(job)
    assert train(replace(job, data_checksum="b" * 64)).epochs == 1
    assert "starts from scratch" in caplog.text


def test_a_record_that_was_lost_is_written_as_it_was(inputs: Inputs, tmp_path: Path) -> None:
    job = inputs.job(tmp_path, max_epochs=3)
    for epochs in (1, 3):
        train(replace(job, epochs=epochs))
    before = RunResult.read(tmp_path / "epochs1.json")
    (tmp_path / "epochs1.json").unlink()
    after = train(replace(job, epochs=1))
    assert (after.validation_error, after.epochs, after.cost.seconds) == (
        before.validation_error,
        before.epochs,
        before.cost.seconds,
    )
    assert len(history(tmp_path)) == 3


def test_a_diverging_training_is_a_result_in_a_search_alone(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    train_epoch = Trainer._train_epoch

    def poisoned(trainer: Trainer, *arguments: Any) -> None:
        if trainer.state.epochs == 1:
            next(trainer.model.parameters()).data.fill_(torch.nan)
        train_epoch(trainer, *arguments)

    monkeypatch.setattr(Trainer, "_train_epoch", poisoned)
    job: TrainJob = inputs.job(tmp_path, max_epochs=3)
    with caplog.at_level("WARNING", "sitenet"):
        record = train(replace(job, epochs=3))
    assert RunResult.read(tmp_path / "epochs3.json").validation_error == record.validation_error == math.inf
    assert "not finite" in caplog.text
    with pytest.raises(DivergedError):
        train(job)
