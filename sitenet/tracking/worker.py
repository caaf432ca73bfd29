"""The tracker's process: `python -m sitenet.tracking.worker` with a task as a line of JSON on standard input.

It prints what went wrong, in one line, and nothing where all went well.
"""

import json
import os
import select
import sys
from pathlib import Path
from typing import Any

from sitenet.records import RunResult
from sitenet.tracking.content import key_config, one_line, result_config, run_identity, summary
from sitenet.tracking.tasks import Follow, Task

POLL_SECONDS = 2.0
NICENESS = 10  # trainings come first


def main() -> None:
    """Does the task; whatever happens ends as a line of text."""
    os.nice(NICENESS)
    # Unlike 1 itself, wandb's service does not inherit it and keep it open.
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
    """Tracks a training until standard input ends, because the training did or because it was killed.

    Returns:
        What went wrong.
    """
    from sitenet.tracking.session import Session

    identity = run_identity(task.key, task.kind, task.dataset)
    with Session(task.settings, identity, task.folder, task.resumed) as session:
        session.describe(key_config(task.key, task.hyperparameters))
        ended = False
        while not ended:
            ended = bool(select.select([sys.stdin], [], [], POLL_SECONDS)[0])
            session.log_epochs(read_history(task.run_folder))
        record = task.run_folder / "run.json"
        session.failed = not record.exists()
        if not session.failed:
            result = RunResult.read(record)
            session.describe(result_config(result))
            session.summarise(summary(result))
    return session.problem


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Rows of `history.jsonl`; none where there is no such file."""
    path = folder / "history.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


if __name__ == "__main__":
    main()
