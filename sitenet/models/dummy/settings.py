"""Settings of the constant prediction."""

from typing import Literal

from sitenet.settings.section import Section


class DummySettings(Section):
    """Predicts one statistic of the training targets for every crystal.

    Attributes:
        statistic: What is predicted.
    """

    kind: Literal["dummy"] = "dummy"
    statistic: Literal["mean", "median"] = "mean"
