"""A search: which trials it draws, and how long it trains them. Planning needs no more than this."""

import math
from dataclasses import dataclass
from functools import cached_property

from sitenet.config.space import Space
from sitenet.config.trial import short_hash
from sitenet.errors import UserError
from sitenet.settings.search import SearchSettings
from sitenet.settings.training import TrainingSettings


@dataclass(frozen=True)
class Rung:
    """One length of training of successive halving.

    Attributes:
        trials: Number of trials that are trained so long.
        epochs: Number of epochs; None is to the end of the training.
    """

    trials: int
    epochs: int | None


@dataclass(frozen=True)
class Search:
    """A grid entry with distributions, and how trials are drawn from it.

    A search goes through stages, one after the other, on each fold by itself. In the first ones, trials are drawn in
    batches and trained as long as the first rung says. In each of the next, the best trials of the stage before go
    on, as long as the next rung says. The last stage is the best trial alone, which is scored on the test part.

    Attributes:
        space: Where trials are drawn from.
        settings: How.
    """

    space: Space
    settings: SearchSettings

    @cached_property
    def id(self) -> str:
        """Folder name of the search: a hash of everything that decides which trials it draws and promotes."""
        return short_hash({"space": self.space.content, **self.settings.model_dump(mode="json")})

    @property
    def batches(self) -> tuple[int, ...]:
        """Number of trials that each of the first stages draws."""
        n, size = self.settings.trials, self.settings.batch
        if self.settings.sampler == "random":
            return (n,)
        return tuple(min(size, n - start) for start in range(0, n, size))

    @cached_property
    def rungs(self) -> tuple[Rung, ...]:
        """Rungs from the shortest to the full training (Jamieson and Talwalkar, AISTATS 2016).

        Of n trials and E epochs, rung i of r + 1 has floor(n / eta^i) trials and ceil(E / eta^(r - i)) epochs. There
        are as many rungs as leave the last one a trial and the first one `min_epochs`.
        """
        n, eta, longest = self.settings.trials, self.settings.halving, self._max_epochs
        if eta is None:
            return (Rung(n, None),)
        r = 0
        while n >= eta ** (r + 1) and longest >= self.settings.min_epochs * eta ** (r + 1):
            r += 1
        return tuple(Rung(n // eta**i, math.ceil(longest / eta ** (r - i))) for i in range(r + 1))

    @property
    def n_stages(self) -> int:
        """Number of stages: batches, promotions, and the best trial."""
        return len(self.batches) + len(self.rungs)

    def rung_of(self, stage: int) -> int | None:
        """Index of the rung to which a stage trains; None for the last stage, the best trial."""
        rung = max(0, stage - len(self.batches) + 1)
        return rung if rung < len(self.rungs) else None

    def decided_by(self, stage: int) -> range:
        """Numbers of the stages whose validation errors decide a stage; all of them train to the same rung."""
        return range(stage) if stage <= len(self.batches) else range(stage - 1, stage)

    @property
    def _max_epochs(self) -> int:
        default = TrainingSettings.model_fields["max_epochs"].default
        return int(self.space.fixed.get("training.max_epochs", default))

    def check(self) -> None:
        """Refuses what halving cannot do.

        Raises:
            UserError: Trainings have no common number of epochs, or a time limit, or none is stopped early.
        """
        where = self.space.where
        if self.settings.halving is None:
            return
        for name in ("training.max_epochs", "training.max_minutes"):
            if name in self.space.distributions:
                raise UserError(
                    f"configuration key '{where}.{name}' is a distribution: halving needs one length for all"
                )
        if self.space.fixed.get("training.max_minutes") is not None:
            raise UserError(
                f"configuration key '{where}.training.max_minutes' is set: halving counts epochs, so that stopped "
                "trainings go on as if they had not been stopped; set max_epochs"
            )
        if len(self.rungs) == 1:
            raise UserError(
                f"configuration key 'search.halving' has the value {self.settings.halving}, which stops no trial of "
                f"'{where}': it has {self.settings.trials} trials of {self._max_epochs} epochs, and min_epochs is "
                f"{self.settings.min_epochs}"
            )


def searches(spaces: list[Space], settings: SearchSettings | None) -> dict[str, Search]:
    """The searches of a benchmark by id.

    Raises:
        UserError: There are distributions without a search, a search without distributions, or halving cannot be done.
    """
    if settings is None:
        if spaces:
            name = next(iter(spaces[0].distributions))
            raise UserError(
                f"configuration key '{spaces[0].where}.{name}' is a distribution, but the key 'search' is missing, "
                "for example search: {trials: 32}"
            )
        return {}
    if not spaces:
        raise UserError(
            "configuration key 'search' is set, but no grid entry has a distribution, for example "
            "learning_rate: {log_uniform: [1.0e-4, 1.0e-2]}"
        )
    found = [Search(space, settings) for space in spaces]
    for search in found:
        search.check()
    return {search.id: search for search in found}
