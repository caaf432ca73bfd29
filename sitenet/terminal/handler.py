"""Snakemake's messages as few lines; with `--verbose` its own are shown instead, but those for its debugging."""

import re
import sys
import threading
from collections.abc import Callable, Hashable
from logging import INFO, WARNING, LogRecord
from pathlib import Path
from typing import Any, TextIO

from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from sitenet.errors import plain
from sitenet.terminal.clock import Clock, duration
from sitenet.terminal.ending import NO_REASON, Failure, stopped
from sitenet.terminal.jobs import Job, job_words
from sitenet.terminal.slips import in_one_line

LOOK_SECONDS = 5.0  # between two looks into the logs of running jobs
SUBMITTED = re.compile(r"Job ([\w-]+) has been submitted with SLURM jobid (\d+)")
TRACEBACK = "Full Traceback"  # a message of level DEBUG, the only one that is shown
NOTHING = "Nothing to be done"
SHOWN = (NOTHING, "This was a dry-run", "Will exit after finishing")
INTERRUPTED = "Terminating processes on user request"
# Errors and warnings of Snakemake that say again what the lines about the failed jobs say.
REPEATED = re.compile(r"RuleException|SpawnedJobError|Exiting because a job execution failed|--keep-incomplete mode")
NOT_SUCCESSFUL = "At least one job did not complete successfully."


class LogHandler(LogHandlerBase):
    """The logger plugin `sitenet`.

    Records come one after the other, but from another thread than the one that looks into the logs of jobs; both hold
    the handler's lock.
    """

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """The state of a run that has not begun; called by the base class."""
        settings: Any = self.common_settings
        self._stream = sys.stdout if settings.stdout else sys.stderr
        self._all = _all_of_snakemake(settings, self._stream) if settings.verbose else None
        self._trials: dict[str, str] = {}
        self._seeds = 1
        self._running: dict[int, Job] = {}
        self._finished: list[Job] = []
        self._failed: dict[int, Failure] = {}
        self._done = self._total = 0
        self._hidden = 0  # the job `all`, which only asks for others
        self._clock = Clock({})
        self._interrupted = False
        self._result: Callable[[], str] = str
        self._told: set[Hashable] = set()
        self._closing = threading.Event()
        self._watcher: threading.Thread | None = None

    def emit(self, record: LogRecord) -> None:
        """Shows what a record means for the user."""
        try:
            if self._all and (record.levelno >= INFO or record.getMessage().startswith(TRACEBACK)):
                self._all.handle(record)
            reaction = self._reactions.get(getattr(record, "event", None))
            if reaction:
                reaction(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Says at last how a run ended that was interrupted or has failed jobs."""
        if self._closing.is_set():  # Python closes every handler once more when it ends
            return
        self._closing.set()
        if self._watcher:
            self._watcher.join()
        if self._interrupted or self._failed:
            words = [job.words for job in self._running.values()]
            failures = [f for f in self._failed.values() if not (self._interrupted and f.reason == NO_REASON)]
            for line in stopped(self._interrupted, self._done, self._total, words, failures):
                self._say(line, sys.stderr)
        super().close()

    @property
    def _reactions(self) -> dict[LogEvent | None, Callable[[Any], None]]:
        return {
            LogEvent.RUN_INFO: self._plan,
            LogEvent.JOB_INFO: self._start,
            LogEvent.JOB_FINISHED: self._finish,
            LogEvent.PROGRESS: self._progress,
            LogEvent.JOB_ERROR: self._fail,
            LogEvent.ERROR: self._error,
            None: self._message,
        }

    def _plan(self, record: Any) -> None:
        if self.common_settings.dryrun:
            self._tell(record.getMessage(), once="plan")
            return
        self._hidden = record.stats.get("all", 0)
        self._clock, self._total = Clock(record.stats), record.stats["total"] - self._hidden
        counts = [f"{n} {rule.replace('_', ' ')}" for rule, n in record.stats.items() if rule not in ("all", "total")]
        self._tell(f"{self._total} job{'' if self._total == 1 else 's'}: {', '.join(counts)}")

    def _start(self, record: Any) -> None:
        if self.common_settings.dryrun:
            return
        words = job_words(record.rule_name, record.wildcards, self._trials, self._seeds)
        self._failed.pop(record.jobid, None)  # another attempt
        self._running[record.jobid] = Job(record.rule_name, words, [Path(log) for log in record.log])
        if not self._watcher:
            self._watcher = threading.Thread(target=self._watch, name="terminal", daemon=True)
            self._watcher.start()

    def _watch(self) -> None:
        while not self._closing.wait(LOOK_SECONDS):
            self.acquire()
            try:
                for job in self._running.values():
                    self._look(job)
            except OSError:  # nobody reads what is shown any more
                return
            finally:
                self.release()

    def _look(self, job: Job) -> None:
        """Shows warnings that a job has logged since the last look, and now and then how far it is."""
        text, lines = job.look()
        if self._all:
            self._say(text.rstrip("\n"))
            return
        for line in lines:
            if line.level == "WARNING":
                self._tell(f"warning: {job.words}: {line.text}", once=line.text, stream=sys.stderr)
        if job.is_due():
            self._tell(f"running: {job.words} ({duration(job.seconds)}): {job.progress}")

    def _finish(self, record: Any) -> None:
        job = self._running.pop(record.job_id, None)
        if job:
            self._look(job)
            self._finished.append(job)
            self._clock.count(job.rule, job.seconds)

    def _progress(self, record: Any) -> None:
        self._done, self._total = record.done, record.total - self._hidden
        first = self._done - len(self._finished) + 1
        left = self._clock.left()
        for number, job in enumerate(self._finished, start=first):
            if job.rule != "all":
                end = f", {left}" if left and number == self._done else ""
                place = f"{number:>{len(str(self._total))}} of {self._total}"
                self._tell(f"{place}: {job.words} ({duration(job.seconds)}){end}")
        self._finished.clear()

    def _fail(self, record: Any) -> None:
        if self._interrupted or record.jobid not in self._running:
            return
        job = self._running.pop(record.jobid)
        job.look()
        failure = Failure.of(job, record.rule_msg)
        self._failed[record.jobid] = failure
        self._tell(f"failed: {failure.words}: {failure.reason}", stream=sys.stderr)

    def _error(self, record: Any) -> None:
        message = record.getMessage()
        if not (REPEATED.match(message) or NOT_SUCCESSFUL in message):
            self._tell(in_one_line(message, sys.argv[1:]), stream=sys.stderr)

    def _message(self, record: Any) -> None:
        if hasattr(record, "trials"):
            self._trials, self._seeds, self._result = record.trials, record.seeds, record.result
        message = record.getMessage()
        submitted = SUBMITTED.match(message)
        if message.startswith(INTERRUPTED):
            self._interrupted = True
        elif submitted:
            job = self._running.get(int(submitted[1])) if submitted[1].isdigit() else None
            self._tell(f"submitted: {job.words if job else 'a pack of jobs'} (SLURM job {submitted[2]})")
        elif record.levelno >= WARNING:
            if not REPEATED.match(message):
                self._tell(message, stream=sys.stderr)
        elif hasattr(record, "shown") or message.startswith(SHOWN):
            self._tell(message)
            if message.startswith(NOTHING):
                self._tell(self._result())

    def _tell(self, text: str, once: Hashable = None, stream: TextIO | None = None) -> None:
        """Shows a line of our own, unless Snakemake's lines are shown or `once` was told before."""
        if self._all or once in self._told:
            return
        if once is not None:
            self._told.add(once)
        self._say(text, stream)

    def _say(self, text: str, stream: TextIO | None = None) -> None:
        if text:
            stream = stream or self._stream
            stream.write(plain(text) + "\n")
            stream.flush()


def _all_of_snakemake(settings: Any, stream: Any) -> ColorizingTextHandler:
    return ColorizingTextHandler(
        settings.nocolor,
        stream,
        formatter=DefaultFormatter(settings.quiet, settings.show_failed_logs),
        filter=DefaultFilter(
            settings.quiet, settings.debug_dag, settings.verbose, settings.dryrun, settings.printshellcmds
        ),
    )
