"""What the journal gets: a priority before every line, and only where the journal listens."""

import io
import logging
import os
import sys
from pathlib import Path

import pytest

from penlatch.cli.journal import PRIORITIES, JournalFormatter, set_up, speaks_to_journal


def record(level: int, message: str, *, failure: BaseException | None = None) -> logging.LogRecord:
    info = (type(failure), failure, failure.__traceback__) if failure else None
    return logging.LogRecord("penlatch.test", level, "", 0, message, (), info)


@pytest.mark.parametrize(("level", "priority"), PRIORITIES.items())
def test_each_level_has_its_syslog_priority(level: int, priority: int) -> None:
    assert JournalFormatter("%(message)s").format(record(level, "hello")) == f"<{priority}>hello"


def test_every_line_of_a_traceback_has_the_priority() -> None:
    try:
        int("of two\nlines")
    except ValueError as error:
        text = JournalFormatter("%(message)s").format(record(logging.ERROR, "failed", failure=error))
    lines = text.splitlines()
    assert len(lines) > 3
    assert all(line.startswith("<3>") for line in lines)


def test_the_journal_is_recognised_by_device_and_inode(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("w") as stream:
        status = os.fstat(stream.fileno())
        named = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert speaks_to_journal(named, stream.fileno())
        with (tmp_path / "elsewhere").open("w") as elsewhere:
            assert not speaks_to_journal(named, elsewhere.fileno())


@pytest.mark.parametrize("value", ["", "1", "a:b", "1:2:3"])
def test_a_damaged_journal_stream_is_no_journal(value: str) -> None:
    assert not speaks_to_journal({"JOURNAL_STREAM": value}, sys.__stderr__.fileno() if sys.__stderr__ else 2)
    assert not speaks_to_journal({}, 2)


def test_an_error_that_nobody_caught_is_logged_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python itself would print its text as it is."""
    said = io.StringIO()
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "stderr", said)
    monkeypatch.setattr(said, "fileno", lambda: 2, raising=False)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    level = root.level
    try:
        set_up("info")
        sys.excepthook(ValueError, ValueError("\x1b[2J\nFORGED"), None)
    finally:
        root.setLevel(level)
    assert "\\u001b[2J" in said.getvalue()
    assert "\x1b" not in said.getvalue()
    assert not any(line.startswith("FORGED") for line in said.getvalue().splitlines())
