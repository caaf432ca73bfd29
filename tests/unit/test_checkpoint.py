import json
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import pandas as pd
import pytest
import torch

from sitenet import versions
from sitenet.config.trial import flatten
from sitenet.environment import peak_memory_mb
from sitenet.errors import UserError
from sitenet.features.store import FeatureStore
from sitenet.models.sitenet.network import SiteNet
from sitenet.prediction.predictor import predict
from sitenet.records import RunResult
from sitenet.settings.section import Section
from sitenet.training import run
from sitenet.training.checkpoint import load_best
from sitenet.training.run import TrainJob, train
from tests.training_case import CGCNN_NETWORK, NETWORK, RADIAL_NETWORK, SCHNET_NETWORK, Inputs, write_inputs
from tests.unit.test_files import full_disk


class Killed(BaseException):
    """Stands for the end of the process in tests that stay within one."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def finished(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> TrainJob:
    job = inputs.job(tmp_path_factory.mktemp("run"))
    train(job)
    return job


def train_in_pieces(job: TrainJob, checkpoints: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains, ended and started again after each so many checkpoints."""
    line, count = run.progress_line, 0

    def die_at_times(*arguments: Any) -> str:
        nonlocal count
        count += 1
        if count % checkpoints == 0:
            raise Killed
        return line(*arguments)

    monkeypatch.setattr(run, "progress_line", die_at_times)
    while True:
        try:
            train(job)
            return
        except Killed:
            continue


def without_timing(folder: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "crystals_per_second")} for row in rows]


def tensors(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize(
    "network",
    [NETWORK, RADIAL_NETWORK, RADIAL_NETWORK.model_copy(update={"dropout": 0.2}), CGCNN_NETWORK, SCHNET_NETWORK],
    ids=["sitenet", "sitenet_radial", "dropout", "cgcnn", "schnet"],
)
@pytest.mark.parametrize(("checkpoints", "restarts"), [(1, 14), (3, 4), (4, 3)])
def test_a_run_in_pieces_ends_with_the_same_bits(
    inputs: Inputs, network: Section, tmp_path: Path, checkpoints: int, restarts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once, piecewise = tmp_path / "at_once", tmp_path / "piecewise"
    train(inputs.job(at_once, network))
    train_in_pieces(replace(inputs.job(piecewise, network), checkpoint_seconds=0.0), checkpoints, monkeypatch)
    for kind in ("model", "averaged", "best"):
        whole, pieces = (tensors(folder / "last.pt")[kind] for folder in (at_once, piecewise))
        assert whole.keys() == pieces.keys()
        assert all(torch.equal(whole[name], pieces[name]) for name in whole)
    assert without_timing(piecewise) == without_timing(at_once)
    assert RunResult.read(piecewise / "run.json").cost.restarts == restarts


def test_a_finished_run_restores_its_outputs_without_training(finished: TrainJob) -> None:
    names = ("best.pt", "history.jsonl")
    before = {name: (finished.folder / name).read_bytes() for name in names}
    for name in (*names, "run.json"):
        (finished.folder / name).unlink()
    train(finished)
    assert {name: (finished.folder / name).read_bytes() for name in names} == before


def test_a_finished_run_keeps_the_versions_that_trained_it(
    finished: TrainJob, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = copy_of(finished, tmp_path, finished=True)
    then = {"sitenet": "0.0.1", "torch": "1.0.0"}
    edit_description(tmp_path / "last.pt", packages=then)
    caplog.set_level("INFO", "sitenet")
    for _ in range(2):
        assert train(job).versions == then
        assert load_best(tmp_path / "best.pt")[0].packages == then
    assert f"already finished, its weights are reused; remove {tmp_path / 'last.pt'} to train anew" in caplog.text


def test_record_says_what_was_done(finished: TrainJob) -> None:
    record = RunResult.read(finished.folder / "run.json")
    assert (record.n_train, record.n_train_available, record.n_validation) == (32, 32, 8)
    assert record.epochs == 3
    weights = load_best(finished.folder / "best.pt")[2]
    assert record.n_parameters == sum(weights[name].numel() for name, _ in SiteNet(NETWORK).named_parameters())
    assert record.settings["model"]["heads"] == 2
    rows = without_timing(finished.folder)
    assert record.validation_error == min(min(row["validation_mae"], row["validation_mae_ema"]) for row in rows)


def test_cost_is_the_time_and_memory_that_the_process_took(inputs: Inputs, tmp_path: Path) -> None:
    memory, start = peak_memory_mb(), monotonic()
    cost = train(inputs.job(tmp_path)).cost
    elapsed = monotonic() - start
    # The kernel counts pages for each core and adds them up now and then.
    assert memory - 1 <= cost.peak_memory_mb <= peak_memory_mb() + 1
    rows = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    seconds = [row["seconds"] for row in rows]
    assert 0 < seconds[0] < seconds[1] < seconds[2] == cost.seconds < elapsed
    assert cost.restarts == 0


def test_best_checkpoint_is_self_describing(finished: TrainJob) -> None:
    description, best, _ = load_best(finished.folder / "best.pt")
    assert description.key == finished.key
    assert description.settings == finished.trial.settings
    assert (description.target, description.unit, description.non_negative) == ("band_gap", "eV", True)
    assert description.packages["torch"] == torch.__version__
    assert best is not None
    assert best.validation_error == RunResult.read(finished.folder / "run.json").validation_error


def test_predictions_reach_the_recorded_error(inputs: Inputs, finished: TrainJob) -> None:
    fold = pd.read_parquet(inputs.fold_table)
    validation = fold[fold["part"] == "validation"]
    frame = predict(finished.folder / "best.pt", FeatureStore([inputs.shard]), validation["id"].tolist())
    assert frame["id"].tolist() == validation["id"].tolist()
    mae = abs(frame["prediction"].to_numpy() - validation["target"].to_numpy()).mean()
    assert mae == pytest.approx(RunResult.read(finished.folder / "run.json").validation_error, rel=1e-5)
    assert (frame["prediction"] >= 0).all()


def test_nothing_to_predict(inputs: Inputs, finished: TrainJob) -> None:
    frame = predict(finished.folder / "best.pt", FeatureStore([inputs.shard]), [])
    assert list(frame.columns) == ["id", "prediction"]
    assert frame.empty


def copy_of(job: TrainJob, folder: Path, finished: bool = False) -> TrainJob:
    """The run with its last.pt in another folder, by default as if it had been killed before its end."""
    content = torch.load(job.folder / "last.pt", weights_only=True)
    content["metadata"] = json.dumps(json.loads(content["metadata"]) | {"finished": finished})
    torch.save(content, folder / "last.pt")
    return replace(job, folder=folder)


def edit_description(path: Path, **changes: Any) -> None:
    content = tensors(path)
    metadata = json.loads(content["metadata"])
    metadata["description"] |= changes
    torch.save(content | {"metadata": json.dumps(metadata)}, path)


def test_a_setting_that_came_later_stood_at_its_default(finished: TrainJob, tmp_path: Path) -> None:
    job = copy_of(finished, tmp_path)
    older = flatten(job.trial.settings)  # as format 1 had them
    del older["features.radius"]
    edit_description(tmp_path / "last.pt", settings=older)
    assert train(job).epochs == 3
    edit_description(copy_of(finished, tmp_path).folder / "last.pt", settings=older | {"features.radius": 5.0})
    with pytest.raises(UserError, match=r"belongs to another run \(settings: {'features.radius': 5.0} in the file"):
        train(job)


def test_a_run_that_goes_on_elsewhere_warns_and_records_both(
    inputs: Inputs, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = replace(inputs.job(tmp_path, RADIAL_NETWORK), checkpoint_seconds=0.0)
    monkeypatch.setattr(run, "progress_line", _die)
    with pytest.raises(Killed):
        train(job)
    monkeypatch.undo()
    edit_description(tmp_path / "last.pt", computed_by=["gcc 1.0 sse"])
    here = job.trial.build(True).computed_by()
    assert train(job).computed_by == ("gcc 1.0 sse", here)
    assert f"was computed by gcc 1.0 sse and goes on with {here}, which rounds differently" in caplog.text
    caplog.clear()
    assert train(job).computed_by == load_best(tmp_path / "best.pt")[0].computed_by == ("gcc 1.0 sse", here)
    assert not caplog.messages


def _die(*_: Any) -> str:
    raise Killed


def test_records_and_checkpoints_of_before_do_not_say_what_computed_them(
    finished: TrainJob, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record = json.loads((finished.folder / "run.json").read_text())
    del record["checksum"]
    assert record.pop("computed_by") == ["torch"]  # the kernels do not compute the widths of this network
    assert RunResult.model_validate(record).computed_by == ()
    job = copy_of(finished, tmp_path)
    content = tensors(tmp_path / "last.pt")
    metadata = json.loads(content["metadata"])
    del metadata["description"]["computed_by"]
    torch.save(content | {"metadata": json.dumps(metadata)}, tmp_path / "last.pt")
    assert train(job).computed_by == ()
    assert not caplog.messages


def test_checkpoint_of_another_data_set_is_refused(finished: TrainJob, tmp_path: Path) -> None:
    job = replace(copy_of(finished, tmp_path), data_checksum="b" * 64)
    with pytest.raises(UserError, match=r"last\.pt belongs to another run \(data_checksum: aaa"):
        train(job)


def test_outdated_finished_run_is_trained_anew(
    finished: TrainJob, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After a change of the data, a rerun of the workflow must not stop at what the old data left behind."""
    result = train(replace(copy_of(finished, tmp_path, finished=True), data_checksum="b" * 64))
    assert "starts from scratch" in caplog.text
    assert result.cost.restarts == 0
    assert result.validation_error == RunResult.read(finished.folder / "run.json").validation_error


def test_crystals_without_features_get_the_training_mean(
    inputs: Inputs, finished: TrainJob, caplog: pytest.LogCaptureFixture
) -> None:
    store = FeatureStore([inputs.shard])
    predictions = predict(finished.folder / "best.pt", store, [inputs.ids[0], "mp-none"]).set_index("id")["prediction"]
    training = pd.read_parquet(finished.fold_table).query("part == 'train'")["target"]
    assert predictions["mp-none"] == pytest.approx(training.mean())
    assert predictions[inputs.ids[0]] != predictions["mp-none"]
    assert "1 of 2 crystals have no features" in caplog.text


def test_checkpoint_of_another_trial_is_refused(inputs: Inputs, finished: TrainJob, tmp_path: Path) -> None:
    copy_of(finished, tmp_path)
    other = replace(inputs.job(tmp_path, learning_rate=0.5), key=finished.key)
    with pytest.raises(UserError, match=r"settings: {'training.learning_rate': 0.01} in the file, .*0\.5} in this run"):
        train(other)


def test_checkpoint_of_another_fold_is_refused(finished: TrainJob, tmp_path: Path) -> None:
    fold = tmp_path / "train.parquet"
    pd.read_parquet(finished.fold_table).iloc[1:].to_parquet(fold)
    with pytest.raises(UserError, match="fold_checksum: "):
        train(replace(copy_of(finished, tmp_path), fold_table=fold))


def test_checkpoint_of_another_version_is_refused(
    finished: TrainJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "TRAIN", versions.TRAIN + 1)
    with pytest.raises(UserError, match=rf"stages: {{'train': {versions.TRAIN - 1}}} in the file"):
        train(copy_of(finished, tmp_path))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half a file"])
def test_unreadable_checkpoint_is_refused(finished: TrainJob, tmp_path: Path, content: bytes) -> None:
    job = copy_of(finished, tmp_path)
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"last\.pt is not a readable checkpoint"):
        train(job)


def test_a_checkpoint_that_would_run_code_is_refused(inputs: Inputs, tmp_path: Path) -> None:
    torch.save({"metadata": print}, tmp_path / "best.pt")
    with pytest.raises(UserError, match="not a readable checkpoint"):
        predict(tmp_path / "best.pt", FeatureStore([inputs.shard]), inputs.ids[:1])


def test_missing_checkpoint_and_wrong_kind(inputs: Inputs, finished: TrainJob, tmp_path: Path) -> None:
    store = FeatureStore([inputs.shard])
    with pytest.raises(UserError, match="there is no checkpoint"):
        predict(tmp_path / "best.pt", store, inputs.ids[:1])
    with pytest.raises(UserError, match=r"predict with best\.pt"):
        predict(finished.folder / "last.pt", store, inputs.ids[:1])


def test_a_full_disk_keeps_the_last_checkpoint(inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = replace(inputs.job(tmp_path), checkpoint_seconds=0.0)
    monkeypatch.setattr(run, "progress_line", lambda *_: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        train(job)
    monkeypatch.undo()
    before = (tmp_path / "last.pt").read_bytes()
    with full_disk(1000), pytest.raises(UserError, match=r"cannot write .*last\.pt: "):
        train(job)
    assert (tmp_path / "last.pt").read_bytes() == before
    assert train(job).cost.restarts == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_requested_gpu_that_is_absent_is_told_at_once(inputs: Inputs, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a GPU was requested but torch .* sees 0"):
        train(replace(inputs.job(tmp_path / "run"), device="cuda"))
    assert not (tmp_path / "run").exists()
