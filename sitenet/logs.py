"""Logging of a workflow job to its log file, warnings and uncaught errors included.

The driver reads what its jobs log and shows it (`sitenet.terminal`), on whatever machine they run.
"""

import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sitenet.errors import UserError, plain

logger = logging.getLogger("sitenet")


def run_job(main: Callable[[Any], None], job: Any) -> None:
    """Runs the `main` of a workflow script and ends the process with status 1 where it fails.

    Args:
        main: Function of the script; receives `job`.
        job: What Snakemake hands a script; its first log file takes everything that is logged.
    """
    log_to(Path(job.log[0]))
    try:
        main(job)
    except UserError as error:
        logger.error("%s", error)
        sys.exit(1)
    except Exception as error:
        logger.critical("%s: %s", type(error).__name__, error, exc_info=True)
        sys.exit(1)


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return plain(super().format(record))


def log_to(path: Path) -> None:
    """Sends log records and warnings to the end of `path`, behind those of earlier attempts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(_Plain("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logger.setLevel(logging.INFO)
    logging.captureWarnings(True)
    warnings.simplefilter("default")
