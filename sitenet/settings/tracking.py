"""Settings of the tracking with Weights & Biases; changing them changes no result and reruns no training."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self, get_args

from pydantic import Field

from sitenet.errors import UserError
from sitenet.settings.problems import unknown
from sitenet.settings.section import Section

FOLDER = "results/wandb"  # contains one folder for each benchmark
Mode = Literal["offline", "online", "disabled"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]


class TrackingSettings(Section):
    """Section `tracking` of config.yaml; each key is explained there."""

    mode: Mode = "offline"
    project: Name = "sitenet"
    entity: Name | None = None
    anonymize: bool = False

    def overridden(self, environment: Mapping[str, str]) -> Self:
        """These settings, with the mode in the environment variable WANDB_MODE if that is set.

        Raises:
            UserError: WANDB_MODE is not one of the modes.
        """
        mode = environment.get("WANDB_MODE")
        if not mode:
            return self
        if mode not in get_args(Mode):
            raise UserError(unknown("environment variable WANDB_MODE: mode", mode, get_args(Mode)))
        return self.model_copy(update={"mode": mode})
