"""What the Snakemake report begins with: the leaderboard. Light to import, as planning imports it."""

import html
import re
from collections.abc import Sequence
from pathlib import Path

from sitenet.errors import UserError
from sitenet.evaluation.tables.summary import read_board


def front_page(introduction: str, leaderboard: Path) -> str:
    """The first page of the report, as reStructuredText: the main columns of the leaderboard and the introduction.

    Args:
        introduction: What the benchmark is, as reStructuredText.
        leaderboard: `leaderboard.json` of the benchmark.

    Raises:
        UserError: The benchmark has not run in this folder, or its leaderboard is damaged.
    """
    if not leaderboard.exists():
        finished = sorted(path.parent.name for path in leaderboard.parents[1].glob("*/leaderboard.json"))
        raise UserError(
            f"there is no leaderboard of '{leaderboard.parent.name}' to report: name the configuration that has run, "
            f"snakemake --report report.html --configfile FILE (finished here: {', '.join(finished) or 'none'})"
        )
    board, (head, *rows) = read_board(leaderboard)
    lines = [_line("th", head), *(_line("td", row) for row in rows)]
    table = "\n".join(f"   {line}" for line in ["<table>", *lines, "</table>"])
    link = (
        f"`All results on one page, with charts <{leaderboard.with_name('index.html').as_posix()}>`_ (in this folder)."
    )
    unit = f" ({board['unit']})" if board.get("task", "regression") == "regression" else ""
    title = re.sub(r"([\\*`_|])", r"\\\1", f"{board['benchmark']}: {board['target']}{unit}")  # signs of markup
    return f"{title}\n{'=' * 2 * len(title)}\n\n.. raw:: html\n\n{table}\n\n{link}\n\n{introduction}"


def _line(kind: str, texts: Sequence[str]) -> str:
    """A row of an HTML table; braces would be read by Jinja."""
    escaped = (html.escape(text).replace("{", "&#123;") for text in texts)
    return "<tr>" + "".join(f"<{kind}>{text}</{kind}>" for text in escaped) + "</tr>"
