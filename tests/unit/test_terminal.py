"""What the terminal shows: names of jobs, what is new in their logs, time left, and the last lines."""

import logging
import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.settings.types import OutputSettings
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.tests import TestLogHandlerBase as LogHandlerTests

from sitenet.config.benchmark import Benchmark
from sitenet.config.grid import expand_grid
from sitenet.config.trial import trial_names
from sitenet.terminal import clock, jobs
from sitenet.terminal.ending import NO_REASON, Failure, stopped
from sitenet.terminal.handler import LogHandler
from sitenet.terminal.jobs import Job, job_words
from sitenet.terminal.slips import in_one_line

ROOT = Path(__file__).parents[2]


class TestInterface(LogHandlerTests):
    """The tests that Snakemake has for every logger plugin."""

    __test__ = True

    def get_log_handler_cls(self) -> type[LogHandler]:
        return LogHandler

    def get_log_handler_settings(self) -> Any:
        return None


class Driver:
    """A handler that is told what Snakemake would tell it."""

    def __init__(self) -> None:
        self.handler = LogHandler(OutputSettings(), None)

    def tell(self, event: LogEvent | None, message: str = "", level: int = logging.INFO, **fields: Any) -> None:
        record = logging.LogRecord("snakemake", level, __file__, 1, message, (), None)
        vars(record).update(fields, event=event)
        self.handler.handle(record)

    def start(self, jobid: int, log: Path, rule: str = "train", **wildcards: str) -> None:
        self.tell(LogEvent.JOB_INFO, jobid=jobid, rule_name=rule, wildcards=wildcards, log=[str(log)])


def test_jobs_are_named_in_words() -> None:
    benchmark = Benchmark(yaml.safe_load((ROOT / "configs/quick.yaml").read_text()))
    names = trial_names(benchmark.trials)
    assert list(names.values()) == [
        "sitenet blocks=1",
        "sitenet blocks=2",
        "dummy",
        "random_forest",
    ]
    network = next(iter(names))
    place = {"trial": network, "fold": "0", "seed": "1"}
    assert job_words("train", place, names, seeds=1) == "train sitenet blocks=1, fold 0"
    assert job_words("train", place, names, seeds=2) == "train sitenet blocks=1, fold 0, seed 1"
    assert job_words("load_data", {}, names, seeds=1) == "load data"
    shard = {"features": "sites50-d89ad5df", "shard": "3"}
    assert job_words("featurize", shard, names, seeds=1) == "featurize sites50-d89ad5df, shard 3"
    command = trial_names(expand_grid([{"model": {"kind": "external", "parameters": {"depth": [3, 4]}}}]))
    place = {"trial": next(iter(command)), "fold": "0", "seed": "0"}
    assert job_words("external", place, command, seeds=1) == "external depth=3, fold 0"


def test_settings_of_model_and_features_with_one_name_are_told_apart() -> None:
    radial = {"kind": "sitenet_radial", "cutoff": 4.0, "envelope": True}
    entries = [
        {"model": radial | {"moments": moments}, "features": {"radius": 4.0, "moments": kept}}
        for moments, kept in ((3, 4), (4, 4), (0, 0))
    ]
    assert list(trial_names(expand_grid(entries)).values()) == [
        "sitenet_radial moments=3 features.moments=4",
        "sitenet_radial moments=4",
        "sitenet_radial moments=0",
    ]


def test_only_whole_lines_of_this_attempt_are_read_once(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    log.write_text("10:00:00 ERROR of an earlier attempt\n")
    os.utime(log, (time.time() - 60, time.time() - 60))
    job = Job("train", "train", [log])
    assert job.look() == ("", [])
    log.write_text("10:01:00 INFO fold 0 seed 0 trial 0a1b2c3d: epoch 1/9\n10:01:01 WARN")
    assert [line.text for line in job.look()[1]] == ["epoch 1/9"]
    with log.open("a") as file:
        file.write("ING /a/b.py:3: UserWarning: odd\nTraceback\n10:01:02 CRITICAL KeyError: 'x'\n")
    assert [(line.level, line.text) for line in job.look()[1]] == [
        ("WARNING", "UserWarning: odd"),
        ("CRITICAL", "KeyError: 'x'"),
    ]
    assert (job.progress, job.error) == ("epoch 1/9", "KeyError: 'x'")
    log.write_text("")  # written anew
    assert job.look() == ("", [])


def test_progress_is_told_at_growing_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(jobs.time, "monotonic", lambda: now)
    job = Job("train", "train", [], progress="epoch 1", _reported=0.0)
    told = []
    for now in range(0, 3600, 5):
        if job.is_due():
            told.append(now)
    assert told[:3] == [20, 50, 95]
    assert 8 < len(told) < 14


def test_time_left_is_told_once_it_can_be_known(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(clock.time, "monotonic", lambda: now)
    estimate = clock.Clock({"load_data": 1, "train": 10, "score": 10})
    now = 5.0
    estimate.count("load_data", 5)
    assert estimate.left() == ""
    now = 125.0
    estimate.count("train", 120)
    estimate.count("train", 120)  # two side by side
    assert estimate.left() == "about 8 min left"
    for _ in range(8):
        estimate.count("train", 120)
    assert estimate.left() == ""
    assert [clock.in_words(s) for s in (3, 70, 3000, 9000)] == [
        "less than a minute",
        "about 1 min",
        "about 50 min",
        "about 2 h",
    ]


def test_last_lines_name_failed_jobs_their_reason_and_log(tmp_path: Path) -> None:
    job = Job("train", "train sitenet, fold 0", [tmp_path / "a.log"])
    assert Failure.of(job, None).reason == NO_REASON
    assert Failure.of(job, "SLURM status is\n 'TIMEOUT'").reason == "SLURM status is 'TIMEOUT'"
    job.error = "the reason"
    failure = Failure.of(job, "SLURM status is 'FAILED'")
    first, last = stopped(False, 3, 9, [], [failure])
    assert first == f"failed: train sitenet, fold 0: the reason (log: {tmp_path / 'a.log'})"
    assert last.startswith("3 of 9 jobs are done; to go on, type again: snakemake")
    assert "failed: 4 more jobs, named above" in stopped(False, 0, 9, [], 9 * [failure])
    (line,) = stopped(True, 3, 9, ["train a", "train b", "train c"], [])
    assert line.startswith("interrupted: 3 of 9 jobs are done, train a, train b will go on; to go on, type again: ")


def test_a_run_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    driver, log = Driver(), tmp_path / "job.log"
    driver.tell(LogEvent.RUN_INFO, "Job stats", stats={"train": 3, "all": 1, "total": 4})
    driver.tell(None, "", trials={"0a1b2c3d": "sitenet blocks=2"}, seeds=1, result=str, shown=True)
    for number in range(3):
        driver.start(number, log, trial="0a1b2c3d", fold=str(number), seed="0")
    driver.tell(None, "Building DAG of jobs...")
    driver.tell(None, "a warning of Snakemake", logging.WARNING)
    log.write_text("10:00:00 WARNING no compiled kernels\n10:00:01 ERROR \x1b[31mred\n")
    driver.tell(LogEvent.JOB_FINISHED, job_id=0)
    driver.tell(LogEvent.PROGRESS, done=1, total=4)
    driver.tell(LogEvent.JOB_ERROR, jobid=1, rule_msg=None)
    driver.tell(LogEvent.ERROR, "RuleException:\nCalledProcessError in file ...", logging.ERROR)
    driver.tell(None, "Exiting because a job execution failed. Look above for error messages", logging.ERROR)
    driver.tell(None, "Terminating processes on user request, this might take some time.")
    driver.tell(LogEvent.JOB_ERROR, jobid=2, rule_msg=None)
    driver.handler.close()
    driver.handler.close()
    *lines, last = capsys.readouterr().err.splitlines()
    assert lines == [
        "3 jobs: 3 train",
        "a warning of Snakemake",
        "warning: train sitenet blocks=2, fold 0: no compiled kernels",
        "1 of 3: train sitenet blocks=2, fold 0 (0 s)",
        "failed: train sitenet blocks=2, fold 1: \\x1b[31mred",
        f"failed: train sitenet blocks=2, fold 1: \\x1b[31mred (log: {log})",
    ]
    assert last.startswith("interrupted: 1 of 3 jobs are done, train sitenet blocks=2, fold 2 will go on; to go on, ")


def test_another_attempt_forgets_the_failed_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    driver = Driver()
    driver.start(7, tmp_path / "job.log")
    driver.tell(None, "Job 7 has been submitted with SLURM jobid 42 (log: x).")
    driver.tell(LogEvent.JOB_ERROR, jobid=7, rule_msg="SLURM status is: 'TIMEOUT'")
    driver.start(7, tmp_path / "job.log")
    driver.tell(LogEvent.JOB_FINISHED, job_id=7)
    driver.tell(LogEvent.PROGRESS, done=1, total=1)
    driver.handler.close()
    assert capsys.readouterr().err.splitlines() == [
        "submitted: train (SLURM job 42)",
        "failed: train: SLURM status is: 'TIMEOUT'",
        "1 of 1: train (0 s)",
    ]


def test_verbose_shows_what_snakemake_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    driver, log = Driver(), tmp_path / "job.log"
    driver.handler = LogHandler(OutputSettings(verbose=True), None)
    driver.tell(None, "Building DAG of jobs...")
    driver.tell(None, "for debugging", logging.DEBUG)
    driver.handler._running[0] = Job("train", "train", [log])
    log.write_text("10:00:00 INFO epoch 1\n")
    driver.tell(LogEvent.JOB_FINISHED, "Finished jobid: 0", job_id=0)
    driver.handler.close()
    shown = capsys.readouterr().err
    assert "Building DAG of jobs...\n" in shown
    assert "10:00:00 INFO epoch 1\n" in shown
    assert "Finished jobid: 0\n" in shown
    assert "for debugging" not in shown


def test_an_error_of_planning_that_is_not_known_keeps_its_last_line() -> None:
    message = "Traceback (most recent call last):\n\n  File \"x.py\", line 3, in f\n    g()\n\nKeyError: 'abc'\n"
    assert in_one_line(message, []) == "KeyError: 'abc'"
    message = "MissingRuleException:\nNo rule to produce nothing (if you use ...)."
    assert in_one_line(message, []) == "MissingRuleException: No rule to produce nothing (if you use ...)."
