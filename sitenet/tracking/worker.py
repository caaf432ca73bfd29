"""The tracker's process: `python -m sitenet.tracking.worker` with a task as a line of JSON on standard input.

It prints a problem as one line, and nothing if there is none.
"""

import os
import select
import sys

from sitenet.history import read_history
from sitenet.records import RunResult
from sitenet.tracking.content import key_config, one_line, result_config, run_identity, summary
from sitenet.tracking.tasks import Follow, Task

POLL_SECONDS = 2.0
NICENESS = 10  # lower priority than trainings


def main() -> None:
    """Does the task; any error is printed as one line."""
    os.nice(NICENESS)
    # wandb's service would inherit descriptor 1 itself and keep it open.
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        problem = _run(Task.model_validate_json(sys.stdin.readline()))
    except Exception as error:
        problem = one_line(error)
    print(problem or "", file=answer, flush=True)


def _run(task: Task) -> str | None:
    if isinstance(task.root, Follow):
        return follow(task.root)
    from sitenet.tracking.benchmark import publish

    return publish(task.root)


def follow(task: Follow) -> str | None:
    """Tracks a training until standard input ends, because the training ended or was killed.

    Returns:
        A problem; None if there was none.
    """
    from sitenet.tracking.session import Session

    identity = run_identity(task.key, task.kind, task.dataset)
    with Session(task.settings, identity, task.folder, task.resumed) as session:
        session.describe(key_config(task.key, task.hyperparameters))
        ended = False
        while not ended:
            readable, _, _ = select.select([sys.stdin], [], [], POLL_SECONDS)
            ended = bool(readable)  # nothing is sent, so it is the end
            session.log_epochs(read_history(task.run_folder))
        record = task.run_folder / "run.json"
        session.failed = not record.exists()
        if not session.failed:
            result = RunResult.read(record)
            session.describe(result_config(result))
            session.summarise(summary(result))
    return session.problem


if __name__ == "__main__":
    main()
