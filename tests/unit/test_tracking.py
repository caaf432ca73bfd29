"""What is sent to Weights & Biases, and the settings that decide it."""

import os
import socket
from pathlib import Path

import pytest

from sitenet.config.benchmark import Benchmark
from sitenet.errors import UserError
from sitenet.records import Cost, Metrics, RunKey, RunResult
from sitenet.settings.tracking import TrackingSettings
from sitenet.tracking.benchmark import _table
from sitenet.tracking.content import origin, result_config, run_identity, summary
from sitenet.tracking.sync import pending, sync

KEY = RunKey(benchmark="quick", trial="0a1b2c3d", fold=2, seed=5)
RESULT = RunResult(
    key=KEY,
    kind="sitenet",
    settings={"model": {"kind": "sitenet", "blocks": 2}, "training": {"learning_rate": 1e-3}},
    target="band_gap",
    unit="eV",
    n_train=80,
    n_train_available=90,
    n_validation=10,
    validation_error=0.5,
    n_parameters=1234,
    epochs=7,
    cost=Cost(seconds=12.5, peak_memory_mb=300.0),
    versions={"torch": "2.13.0"},
    hardware={"processor": "some", "cores": 2},
)
SCORES = Metrics(values={"mae": 0.6, "rmse": 0.8, "max_error": 2.0}, n_scored=20)
GRID = [{"model": {"kind": "sitenet"}}]
DATA = {"dataset": {"source": "bundled", "name": "mp_dielectric_gap"}, "splits": {"kind": "kfold", "n_folds": 2}}


def test_tracking_changes_no_trial_and_no_resolved_configuration() -> None:
    plain = Benchmark(DATA | {"grid": GRID})
    tracked = Benchmark(DATA | {"grid": GRID, "tracking": {"mode": "online", "project": "elsewhere"}})
    assert plain.trials.keys() == tracked.trials.keys()
    assert plain.resolved() == tracked.resolved()


@pytest.mark.parametrize(
    ("section", "named"), [({"mod": "online"}, "did you mean 'tracking.mode'"), ({"mode": "on"}, "'tracking.mode'")]
)
def test_wrong_keys_and_values_are_named(section: dict[str, str], named: str) -> None:
    with pytest.raises(UserError, match=named):
        Benchmark(DATA | {"grid": GRID, "tracking": section})


def test_ids_and_names_reach_a_table_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "trials.csv").write_text("trial,model,mae\n00412345,NA,\n")
    assert _table(tmp_path / "trials.csv").data == [["00412345", "NA", None]]


def test_environment_overrides_the_mode() -> None:
    settings = TrackingSettings(project="p")
    assert settings.overridden({}) == settings
    assert settings.overridden({"WANDB_MODE": "disabled"}) == TrackingSettings(mode="disabled", project="p")
    with pytest.raises(UserError, match=r"WANDB_MODE.*'offlin'.*did you mean 'offline'"):
        settings.overridden({"WANDB_MODE": "offlin"})


def test_identity_follows_from_the_key_alone() -> None:
    identity = run_identity(KEY, "sitenet", "mp_dielectric_gap")
    assert identity == run_identity(KEY.model_copy(), "sitenet", "mp_dielectric_gap")
    assert identity.group == KEY.trial
    assert {"data:mp_dielectric_gap", "benchmark:quick", "fold:2"} <= set(identity.tags)
    changes = ({"benchmark": "other"}, {"trial": "ffffffff"}, {"fold": 3}, {"seed": 6})
    others = {run_identity(KEY.model_copy(update=change), "sitenet", "d").id for change in changes}
    assert len(others - {identity.id}) == len(changes)


def test_hyperparameters_are_top_level_keys_without_dots() -> None:
    config = result_config(RESULT)
    assert config["model_blocks"] == 2
    assert config["training_learning_rate"] == 1e-3
    assert config["versions"] == {"torch": "2.13.0"}
    assert not any("." in key for key in config)


def test_summary_holds_what_is_known() -> None:
    assert summary(RESULT)["validation_mae"] == 0.5
    assert not any(name.startswith("test_") for name in summary(RESULT))
    scored = summary(RESULT.model_copy(update={"test": SCORES}))
    assert (scored["test_mae"], scored["test_rmse"], scored["training_seconds"]) == (0.6, 0.8, 12.5)
    unlabelled = Metrics(values={"mae": float("nan"), "rmse": float("nan")}, n_scored=0, n_unlabelled=20)
    assert "test_mae" not in summary(RESULT.model_copy(update={"test": unlabelled}))


def test_the_anonymous_send_neither_host_nor_commit() -> None:
    assert origin(anonymize=True) == {}
    assert origin(anonymize=False)["host"] == socket.gethostname()


def write_log(folder: Path, name: str) -> Path:
    log = folder / "wandb" / f"offline-run-20260101_000000-{name}" / f"run-{name}.wandb"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"")
    return log


def test_a_log_is_pending_until_all_of_it_is_uploaded(tmp_path: Path) -> None:
    first, second = write_log(tmp_path, "a"), write_log(tmp_path, "b")
    assert pending(tmp_path) == [first, second]
    first.with_suffix(".wandb.synced").touch()
    assert pending(tmp_path) == [second]
    later = first.with_suffix(".wandb.synced").stat().st_mtime_ns + 10**9
    os.utime(first, ns=(later, later))
    assert pending(tmp_path) == [first, second]


def test_sync_takes_the_benchmarks_that_are_named_and_names_those_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracked = tmp_path / "results/wandb"
    uploaded, left = write_log(tracked / "quick", "a"), write_log(tracked / "slow", "b")
    uploaded.with_suffix(".wandb.synced").touch()
    with pytest.raises(UserError, match=r"no benchmark 'quik'.*tracked: quick, slow"):
        sync(tmp_path, ["quik"])
    sync(tmp_path, ["quick"])
    assert capsys.readouterr().out == "every run is uploaded\n"
    assert pending(tracked / "slow") == [left]
