"""Decides a stage of a search: draws the next batch, or promotes the best trials of the stage before."""

import math
from collections.abc import Iterable, Mapping, Sequence

from sitenet.config.search import Search
from sitenet.errors import UserError
from sitenet.records import RunResult
from sitenet.search.stage import Stage


def next_stage(search: Search, fold: int, stages: Sequence[Stage], results: Iterable[RunResult]) -> Stage:
    """The stage that follows.

    Args:
        search: The search.
        fold: Its fold, whose validation errors alone are used.
        stages: All earlier stages.
        results: Records of the trials of the stages `search.decided_by`, one for each seed.

    Raises:
        UserError: A record is missing, or no training has a finite validation error.
    """
    number = len(stages)
    before = [stages[i] for i in search.decided_by(number)]
    trials = {trial: settings for stage in before for trial, settings in stage.trials.items()}
    drawn = {trial: values for stage in before for trial, values in stage.drawn.items()}
    scores = _scores(trials, fold, results)
    rung = search.rung_of(number)
    if number < len(search.batches):
        from sitenet.search.sampling import draw

        drawn = {id_: dict(v) for id_, v in draw(search, drawn, scores, search.batches[number]).items()}
        trials = {trial: dict(search.space.trial(values).settings) for trial, values in drawn.items()}
    else:
        chosen = best(scores, 1 if rung is None else search.rungs[rung].trials)
        trials, drawn = {trial: trials[trial] for trial in chosen}, {trial: drawn[trial] for trial in chosen}
    return Stage(
        search=search.id,
        fold=fold,
        number=number,
        epochs=None if rung is None else search.rungs[rung].epochs,
        is_last=rung is None,
        trials=trials,
        drawn=drawn,
    )


def best(scores: Mapping[str, float], n: int) -> list[str]:
    """The `n` trials with the lowest finite validation error, best first; of equal ones, the smaller id first.

    Raises:
        UserError: There is none.
    """
    finite = sorted((error, trial) for trial, error in scores.items() if math.isfinite(error))
    if not finite:
        raise UserError("no training of the search has a finite validation error: lower its learning rates")
    return [trial for _, trial in finite[:n]]


def _scores(trials: Iterable[str], fold: int, results: Iterable[RunResult]) -> dict[str, float]:
    """Validation error of each trial, the mean over its seeds."""
    found: dict[str, list[float]] = {trial: [] for trial in trials}
    for result in results:
        if result.key.fold != fold or result.key.trial not in found:
            raise UserError(f"a record is not of this stage of the search: {result.key}")
        found[result.key.trial].append(result.validation_error)
    for trial, errors in found.items():
        if not errors:
            raise UserError(f"the trial {trial} of fold {fold} has no record")
    return {trial: sum(errors) / len(errors) for trial, errors in found.items()}
