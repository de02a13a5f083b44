"""Logs for the journal: one line per record on standard error, with the priority that systemd reads from `<N>`."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from penlatch.foreign import LINE, plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

PRIORITIES: Mapping[int, int] = {
    logging.CRITICAL: 2,
    logging.ERROR: 3,
    logging.WARNING: 4,
    logging.INFO: 6,
    logging.DEBUG: 7,
}
"""syslog priority of each level (sd-daemon(3))."""

TRACEBACK = "| "
"""Begin of each line of a traceback, so that no line break in its error looks like another record."""


class PlainFormatter(logging.Formatter):
    """Write plain text: a record is one line, and each line of a traceback is marked as part of one.

    Foreign text in a record can neither begin a line of its own nor command the terminal that shows the log.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as lines."""
        record.message = plain(record.getMessage(), LINE)
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        lines = [self.formatMessage(record)]
        if record.exc_info:
            lines += [f"{TRACEBACK}{plain(line, LINE)}" for line in self.formatException(record.exc_info).splitlines()]
        return "\n".join(lines)


class JournalFormatter(PlainFormatter):
    """Put `<N>` before every line, also of a traceback: the journal takes each line for an entry of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as prefixed lines."""
        priority = PRIORITIES.get(record.levelno, PRIORITIES[logging.INFO])
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).split("\n"))


def speaks_to_journal(environ: Mapping[str, str], descriptor: int) -> bool:
    """Say whether the file `descriptor` is the journal's stream: `JOURNAL_STREAM` names its device and inode.

    See systemd.exec(5): the variable is inherited by children whose output goes elsewhere, so it alone proves nothing.
    """
    try:
        device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
        status = os.fstat(descriptor)
        return (status.st_dev, status.st_ino) == (int(device), int(inode))
    except (OSError, ValueError):
        return False


def set_up(level: str) -> None:
    """Send every record of at least `level` (`debug`, `info`, …) to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    if speaks_to_journal(os.environ, sys.stderr.fileno()):
        handler.setFormatter(JournalFormatter("%(name)s: %(message)s"))
    else:
        handler.setFormatter(PlainFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    sys.excepthook = _unforeseen


def _unforeseen(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log what nobody caught: Python itself would print its text as it is."""
    logging.getLogger("penlatch").critical("an unforeseen error", exc_info=(kind, error, trace))
