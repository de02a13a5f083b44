"""One pad, two purposes: a login opens no door, and a signature at the door logs nobody in."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from penlatch.control.client import Client
from penlatch.messages import Verdict
from penlatch.sim.tablet import Isdv4Tablet
from penlatch.sim.writer import Writer
from support.door import know
from support.signing import IDLE_S, pen_found
from support.terminal import Terminal
from support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penlatch.ink import Trace

ADA = Writer(11)


@pytest.fixture
def tablet() -> Iterator[Isdv4Tablet]:
    with Isdv4Tablet() as tablet:
        yield tablet


@pytest.fixture
def opened(tmp_path: Path) -> Path:
    """Where the bolt writes for which decision it opened."""
    return tmp_path / "opened"


@pytest.fixture
def terminal(tmp_path: Path, tablet: Isdv4Tablet, opened: Path) -> Iterator[Terminal]:
    """A door at which whoever signs is identified, and at which ada may log in."""
    program = tmp_path / "bolt"
    program.write_text(f'#!/bin/sh\necho "$PENLATCH_SEQ" >> {opened}\n')
    program.chmod(0o700)
    sections: dict[str, dict[str, Any]] = {
        "terminal": {"mode": "always"},
        "segment": {"idle_s": IDLE_S},
        "verify": {"timeout_s": 20.0, "tries": 1},
        "bolt": {"command": [str(program)], "pulse_s": 1.0},
    }
    terminal = Terminal(tmp_path / "door", device=f"isdv4:{tablet.path}", sections=sections)
    rng = np.random.default_rng(0)
    know(terminal, "ada", iter(lambda: ADA.genuine(rng), None))
    with terminal:
        pen_found(terminal)
        yield terminal


def genuine(seed: int) -> Trace:
    return ADA.genuine(np.random.default_rng(seed))


def login(terminal: Terminal) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "penlatch", "pam", "--socket", str(terminal.socket)],
        env=os.environ | {"PAM_TYPE": "auth", "PAM_USER": "ada"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(seq: int, terminal: Terminal) -> None:
    """Wait until decision `seq` was made."""
    end = time.monotonic() + PATIENCE_S
    while not (made := Client(terminal.socket).decisions(limit=1)) or made[0].seq < seq:
        assert time.monotonic() < end, terminal.log()
        time.sleep(0.02)


def wait_until_opened(opened: Path, terminal: Terminal) -> list[str]:
    end = time.monotonic() + PATIENCE_S
    while not opened.exists() or not opened.read_text().endswith("\n"):
        assert time.monotonic() < end, terminal.log()
        time.sleep(0.02)
    return opened.read_text().split()


def test_a_login_opens_no_door_and_the_door_opens_for_the_next(
    terminal: Terminal, tablet: Isdv4Tablet, opened: Path
) -> None:
    process = login(terminal)
    assert process.stderr
    assert process.stderr.readline().startswith("Sign now, ada, to log in")
    tablet.play(genuine(5))
    assert process.wait(PATIENCE_S) == 0
    tablet.play(genuine(6))
    assert wait_until_opened(opened, terminal) == ["2"]
    door, at_the_prompt = Client(terminal.socket).decisions(limit=2)
    assert (at_the_prompt.purpose, at_the_prompt.verdict) == ("login", Verdict.MATCH)
    assert (door.purpose, door.verdict) == ("door", Verdict.MATCH)


def test_a_signature_at_the_door_logs_nobody_in(terminal: Terminal, tablet: Isdv4Tablet, opened: Path) -> None:
    trace = genuine(5)
    hand = threading.Thread(target=tablet.play, args=(trace,))
    hand.start()
    time.sleep(min(0.3, trace.duration / 2))
    process = login(terminal)
    hand.join()
    assert process.wait(PATIENCE_S) == 3
    assert wait_until_opened(opened, terminal) == ["1"]
    (made,) = Client(terminal.socket).decisions(limit=9)
    assert (made.purpose, made.verdict) == ("door", Verdict.MATCH)
