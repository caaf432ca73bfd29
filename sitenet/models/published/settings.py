"""Which published predictions are compared with."""

from typing import Annotated, Literal

from pydantic import Field

from sitenet.settings.section import Section


class PublishedSettings(Section):
    """Predictions that others submitted to the Matbench leaderboard; nothing is trained.

    Attributes:
        submission: Folder in the `benchmarks/` of materialsproject/matbench, "matbench_v0.1_alignn" for example.
    """

    kind: Literal["published"] = "published"
    submission: Annotated[str, Field(pattern=r"^matbench_v0\.1_[\w.+-]+$")] = "matbench_v0.1_dummy"
