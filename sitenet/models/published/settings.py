"""Settings of published predictions."""

from typing import Annotated, Literal

from pydantic import Field

from sitenet.settings.section import Section


class PublishedSettings(Section):
    """Predictions that others submitted to the Matbench leaderboard; nothing is trained.

    Attributes:
        submission: Name of a folder in `benchmarks/` of github.com/materialsproject/matbench, for example
            "matbench_v0.1_alignn".
    """

    kind: Literal["published"] = "published"
    submission: Annotated[str, Field(pattern=r"^matbench_v0\.1_[\w.+-]+$")] = "matbench_v0.1_dummy"
