"""Real training processes, killed by SIGKILL at chosen and at arbitrary moments."""

import json
import multiprocessing
import re
import signal
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from sitenet.records import RunResult
from tests.e2e.killable import HALF_WRITTEN, train
from tests.training_case import Inputs, write_inputs

TRAPS = [
    ("checkpoint written, not yet renamed", 7),
    ("step", 3),
    (HALF_WRITTEN, 3),
    ("validation", 1),
    ("checkpoint renamed, history old", 2),
    ("all trained, nothing written", 1),
    ("best written, no record", 1),
]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


# Each process is forked, clean, from a server that has imported torch once, and the compiler that torch's
# optimisers import; this saves seconds a process.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.e2e.killable", "torch._inductor"])


def start(inputs: Inputs, folder: Path, trap: tuple[str, int] | None = None) -> ForkServerProcess:
    process = PROCESSES.Process(target=train, args=(inputs, folder, trap))
    process.start()
    return process


def exit_code(process: ForkServerProcess) -> int | None:
    process.join(timeout=120)
    return process.exitcode


def modified(path: Path) -> int:
    """When a file was last replaced; 0 while there is none."""
    return path.stat().st_mtime_ns if path.exists() else 0


@pytest.fixture(scope="module")
def undisturbed(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert exit_code(start(inputs, folder)) == 0
    return folder


def assert_same_run(folder: Path, undisturbed: Path) -> None:
    """The same bits in all final weights and in the history, times apart."""
    kinds = ("model", "averaged", "best")
    run, reference = (torch.load(f / "last.pt", weights_only=True) for f in (folder, undisturbed))
    assert all(torch.equal(run[kind][name], reference[kind][name]) for kind in kinds for name in reference[kind])
    best, reference_best = (torch.load(f / "best.pt", weights_only=True)["weights"] for f in (folder, undisturbed))
    assert all(torch.equal(best[name], reference_best[name]) for name in reference_best)
    assert history(folder) == history(undisturbed)
    assert not list(folder.glob(".*.tmp"))


def history(folder: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "crystals_per_second")} for row in rows]


def test_killed_again_and_again_a_run_ends_as_if_undisturbed(inputs: Inputs, undisturbed: Path, tmp_path: Path) -> None:
    for trap in TRAPS:
        assert exit_code(start(inputs, tmp_path, trap)) == -signal.SIGKILL, trap
    assert exit_code(start(inputs, tmp_path)) == 0
    assert re.search(r"goes on from last.pt, 0 epochs and [1-9] batches done", (tmp_path / "log").read_text())
    assert_same_run(tmp_path, undisturbed)
    # The first process began afresh, and the last victim found all training done.
    assert RunResult.read(tmp_path / "run.json").cost.restarts == len(TRAPS) - 2


def test_killed_from_outside_at_arbitrary_moments(inputs: Inputs, undisturbed: Path, tmp_path: Path) -> None:
    for delay in (0.0, 0.02):
        victim, before = start(inputs, tmp_path), modified(tmp_path / "last.pt")
        while modified(tmp_path / "last.pt") == before and victim.is_alive():
            time.sleep(0.001)
        time.sleep(delay)
        victim.kill()
        assert exit_code(victim) == -signal.SIGKILL
    assert exit_code(start(inputs, tmp_path)) == 0
    assert_same_run(tmp_path, undisturbed)
