"""The five columns of the leaderboard that answer most questions; light to import, as the end of a run prints them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sitenet.errors import UserError
from sitenet.evaluation.tables.rounding import MISSING, duration, measured
from sitenet.tasks import REGRESSION, TASKS, Task

FORMAT = 1
_RIGHT = (0, 4)  # columns of numbers that are compared by their length


def headings(unit: str, task: Task = REGRESSION) -> list[str]:
    """Of the five columns."""
    return ["rank", "model", f"{task.score.header(unit)}, 95 % interval", "verdict", "training time"]


def cells(row: Mapping[str, Any], task: Task = REGRESSION) -> list[str]:
    """Rank, model, score with its interval, verdict and training time of a row of `leaderboard.json`."""
    key = task.score.key
    return [
        MISSING if row["rank"] is None else str(row["rank"]),
        row["model"],
        measured(row[key], row[f"{key}_low"], row[f"{key}_high"]),
        (row["verdict"] or MISSING).removesuffix(" with the best"),
        duration(row["training_seconds"]) if row.get("trained_here", True) else "not trained here",
    ]


def summary_lines(board: Mapping[str, Any]) -> list[list[str]]:
    """Headings and cells of the content of a `leaderboard.json`; before there were classes, it named no task."""
    task = TASKS[board.get("task", REGRESSION.name)]
    return [headings(board["unit"], task), *(cells(row, task) for row in board["models"])]


def read_board(path: Path | str) -> tuple[dict[str, Any], list[list[str]]]:
    """The content of a `leaderboard.json`, and the lines of its summary.

    Raises:
        UserError: The file is missing, damaged or of a newer format.
    """
    try:
        board = json.loads(Path(path).read_text("utf-8"))
        found = board["format"]
        lines = summary_lines(board) if found == FORMAT else []
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no leaderboard: {type(error).__name__} {error}; remove it and run again") from None
    if not lines:
        raise UserError(f"{path} has format {found}, this version reads format {FORMAT}")
    return board, lines


def summary_table(path: Path | str) -> str:
    """The summary of a `leaderboard.json` as lines of text, columns aligned for a terminal.

    Raises:
        UserError: The file is missing, damaged or of a newer format.
    """
    return aligned(read_board(path)[1])


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells in columns as wide as their longest cell."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = []
    for line in lines:
        padded = [
            cell.rjust(width) if i in _RIGHT else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        texts.append("  ".join(padded).rstrip())
    return "\n".join(texts)
