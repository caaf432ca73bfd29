"""Settings of the baseline that predicts a constant."""

from typing import Literal

from sitenet.settings.section import Section


class DummySettings(Section):
    """Predicts one statistic of the training targets for every crystal.

    Attributes:
        statistic: The predicted statistic. Of classes, the mean is the share of class 1, the median the larger class.
    """

    kind: Literal["dummy"] = "dummy"
    statistic: Literal["mean", "median"] = "mean"
