"""Draws trials with Optuna, which plans and nothing else: every trial is trained by the ordinary rules."""

import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState, create_trial

from sitenet.config.search import Search
from sitenet.config.space import Distribution
from sitenet.errors import UserError

RANDOM_START = 10  # scored trials before the estimator takes over, Optuna's default
TRIES = 100  # for each trial, before the space counts as exhausted

Values = Mapping[str, Any]  # what is drawn for a trial, by dotted name


def draw(search: Search, earlier: Mapping[str, Values], scores: Mapping[str, float], n: int) -> dict[str, Values]:
    """Draws new trials.

    The draw depends on the arguments alone: a batch is drawn at once, when all earlier trials are scored, so that it
    does not matter which of them ended first. Trials drawn in the same batch count as bad ones for the next
    ("constant liar"; Ginsbourger, Le Riche and Carraro, 2010), so that a batch spreads.

    Args:
        search: Where trials are drawn from.
        earlier: Values of the trials so far, by id, in the order drawn.
        scores: Their validation error; infinite where a training diverged.
        n: Number of trials to draw.

    Returns:
        Values of the new trials by id; fewer than `n` if the space has no more.

    Raises:
        UserError: No values were found that go together.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = {name: to_optuna(d) for name, d in search.space.distributions.items()}
    study = optuna.create_study(sampler=_sampler(search, len(earlier)))
    for id_, values in earlier.items():
        params = _encoded(search, values)
        study.add_trial(create_trial(params=params, distributions=distributions, value=scores[id_]))
    found: dict[str, Values] = {}
    for _ in range(TRIES * n):
        if len(found) == n:
            break
        asked = study.ask(distributions)
        values = _decoded(search, asked.params)
        try:
            trial = search.space.trial(values)
        except UserError:  # values that do not go together, such as heads and width
            study.tell(asked, state=TrialState.FAIL)
            continue
        if trial.id not in earlier and trial.id not in found:
            found[trial.id] = values
    if not found and not earlier:
        raise UserError(f"configuration key '{search.space.where}': of {TRIES * n} trials drawn, none is valid")
    return found


def _sampler(search: Search, n_earlier: int) -> BaseSampler:
    """A sampler whose numbers depend on the seed, and on how many trials there are."""
    settings = search.settings
    if settings.sampler == "random":
        return RandomSampler(seed=settings.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(
            n_startup_trials=RANDOM_START,
            multivariate=True,
            constant_liar=True,
            seed=settings.seed + n_earlier,
        )


def to_optuna(distribution: Distribution) -> BaseDistribution:
    """The same distribution for Optuna; a choice is by place, since its values may be lists."""
    if distribution.kind == "choice":
        return CategoricalDistribution(range(len(distribution.values)))
    low, high = distribution.values
    log = distribution.kind.startswith("log")
    if "integer" in distribution.kind:
        return IntDistribution(low, high, log=log)
    return FloatDistribution(low, high, log=log)


def _decoded(search: Search, params: Values) -> dict[str, Any]:
    """Values in place of Optuna's; floats are rounded, so that they can be written in a configuration."""
    values = {}
    for name, distribution in search.space.distributions.items():
        value = params[name]
        if distribution.kind == "choice":
            value = distribution.values[value]
        elif "integer" not in distribution.kind:
            value = distribution.rounded(value)
        values[name] = value
    return values


def _encoded(search: Search, values: Values) -> dict[str, Any]:
    """The inverse of `_decoded`."""
    distributions = search.space.distributions
    return {
        name: d.values.index(values[name]) if d.kind == "choice" else values[name] for name, d in distributions.items()
    }
