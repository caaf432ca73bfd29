"""Records of the stages of a search: which trials are trained, and how long. Planning reads them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sitenet.config.trial import Trial
from sitenet.errors import UserError
from sitenet.records import FileRecord


class Stage(FileRecord):
    """One stage of a search on one fold.

    Attributes:
        search: Id of the search.
        fold: The fold.
        number: Number of the stage, from 0.
        epochs: Number of epochs that its trials are trained; None is to the end of the training.
        is_last: Whether this is the best trial, which the ordinary rules train to the end, predict and score.
        trials: Settings of each trial by id, in the order drawn, or the best first.
        drawn: What was drawn for each trial, by dotted name ("model.blocks").
    """

    search: str
    fold: int
    number: int
    epochs: int | None
    is_last: bool
    trials: dict[str, dict[str, dict[str, Any]]]
    drawn: dict[str, dict[str, Any]]

    @classmethod
    def of(cls, path: Path | str, search: str, fold: int) -> "Stage":
        """Reads the record at `path`.

        Raises:
            UserError: It is damaged, or of another search or fold.
        """
        stage = cls.read(path)
        if (stage.search, stage.fold) != (search, fold):
            raise UserError(f"{path} is of the search {stage.search} on fold {stage.fold}; remove it and run again")
        return stage

    def epochs_of(self, trial: str) -> int:
        """Number of epochs that a trial is trained at most."""
        return self.epochs or int(self.trials[trial]["training"]["max_epochs"])


def network_of(stages: Sequence[Stage], trial: str) -> Trial:
    """The trial with this id.

    Raises:
        UserError: No stage has it.
    """
    for stage in stages:
        if trial in stage.trials:
            return Trial.from_settings(stage.trials[trial])
    raise UserError(f"the trial {trial} is neither in the grid nor drawn by one of its searches")


def stopped_epochs(stages: Sequence[Stage], but: Sequence[str] = ()) -> dict[tuple[str, int], int]:
    """How long each trial is trained that is not the best, by trial and fold.

    Args:
        stages: Stages of any searches and folds.
        but: Trials that are trained to their end in any case, those of the grid.
    """
    best = {(trial, stage.fold) for stage in stages if stage.is_last for trial in stage.trials}
    longest: dict[tuple[str, int], int] = {}
    for stage in stages:
        for trial in stage.trials:
            place = (trial, stage.fold)
            if place not in best and trial not in but:
                longest[place] = max(longest.get(place, 0), stage.epochs_of(trial))
    return longest


def with_stages(config: Mapping[str, Any], stages: Sequence[Stage]) -> dict[str, Any]:
    """A resolved configuration with the trials of its searches, also by fold; without stages it stays as it is."""
    if not stages:
        return dict(config)
    drawn = {trial: settings for stage in stages for trial, settings in stage.trials.items()}
    by_fold: dict[int, dict[str, None]] = {}
    for stage in stages:
        by_fold.setdefault(stage.fold, {}).update(dict.fromkeys(stage.trials.keys() - config["trials"]))
    searched = {fold: sorted(trials) for fold, trials in sorted(by_fold.items())}
    return {**config, "trials": {**config["trials"], **drawn}, "searched": searched}
