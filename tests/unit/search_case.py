"""Searches for tests, whose trainings end as a formula says."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sitenet.config.benchmark import Benchmark
from sitenet.config.search import Search
from sitenet.config.trial import Trial
from sitenet.records import RunResult
from sitenet.search.decide import next_stage
from sitenet.search.stage import Stage

MODEL = {"kind": "sitenet_radial", "blocks": {"integer": [1, 4]}, "width": {"choice": [64, 96]}}
ENTRY: dict[str, Any] = {
    "model": {**MODEL, "dropout": {"uniform": [0.0, 0.3]}},
    "training": {"learning_rate": {"log_uniform": [1e-4, 1e-2]}, "max_epochs": 27},
}
SEARCH = {"trials": 27, "halving": 3}


def config(*entries: Mapping[str, Any], search: Mapping[str, Any] | None = SEARCH, **more: Any) -> dict[str, Any]:
    return {
        "dataset": {"source": "bundled", "name": "mp_dielectric_gap"},
        "splits": {"kind": "kfold", "n_folds": 2},
        "grid": list(entries) or [ENTRY],
        **({} if search is None else {"search": dict(search)}),
        **more,
    }


def the_search(entry: Mapping[str, Any] = ENTRY, **settings: Any) -> Search:
    (search,) = Benchmark(config(entry, search=SEARCH | settings)).searches.values()
    return search


def error_of(trial: Trial) -> float:
    """A made-up validation error with its minimum at a learning rate of 1e-3."""
    return abs(math.log10(trial.training.learning_rate) + 3) + 0.1 * trial.settings["model"]["dropout"]


def play(search: Search, fold: int = 0, diverging: Sequence[str] = ()) -> list[Stage]:
    """All stages of a search whose trainings end as `error_of` says, in an order that does not matter."""
    stages: list[Stage] = []
    rng = np.random.default_rng(0)
    for number in range(search.n_stages):
        trials = {t: s for i in search.decided_by(number) for t, s in stages[i].trials.items()}
        results = [record(trial, settings, fold, trial in diverging) for trial, settings in trials.items()]
        shuffled = [results[i] for i in rng.permutation(len(results))]
        stages.append(next_stage(search, fold, stages, shuffled))
    return stages


def record(trial: str, settings: Any, fold: int, diverged: bool = False) -> RunResult:
    return RunResult.model_validate(
        {
            "key": {"benchmark": "b", "trial": trial, "fold": fold, "seed": 0},
            "kind": "sitenet_radial",
            "settings": settings,
            "target": "band_gap",
            "unit": "eV",
            "n_train": 10,
            "n_train_available": 10,
            "n_validation": 5,
            "validation_error": math.inf if diverged else error_of(Trial.from_settings(settings)),
            "n_parameters": 1,
            "epochs": 1,
            "cost": {"seconds": 1.0, "peak_memory_mb": 1.0},
            "versions": {},
            "hardware": {},
        }
    )
