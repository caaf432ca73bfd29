"""All golden numbers."""

from tests.golden.golden import Golden
from tests.golden.published import predictions, trials
from tests.golden.stages import data, features, tables, training


def _of_stage(stage: str) -> str:
    return (
        f"Results made before and after this change are not the same numbers: raise {stage} in "
        "sitenet/versions.py, so that the workflow makes them again, or explain in the commit why it must not."
    )


_EARLIER = " Where golden numbers of an earlier stage differ too, it is that stage's version that is raised."

GOLDEN = (
    Golden("data", data, "DATA", _of_stage("DATA"), 0.0),
    Golden("features", features, "FEATURES", _of_stage("FEATURES"), 2e-6),
    Golden("training", training, "TRAIN", _of_stage("TRAIN") + _EARLIER, 1e-4),
    Golden("tables", tables, "EVALUATE", _of_stage("EVALUATE"), 1e-9),
    Golden(
        "trials",
        trials,
        None,
        "Finished runs are found by these ids, and an id stands for the defaults too. A changed id or default orphans "
        "or mistakes runs: undo it, or explain in the commit why it may. New configurations and settings are fine.",
        0.0,
    ),
    Golden(
        "published",
        predictions,
        None,
        "The published networks no longer predict what they did: undo it, or raise FEATURES or TRAIN in "
        "sitenet/versions.py, explain it in the commit and train and publish the networks again.",
        1e-4,
    ),
)
