"""A stop, a kill and a crash in mid-pulse: the program has its time to shut, and nobody is told that a door is shut.

What is known of a bolt is what was seen: the daemon that is started next says so, too.
"""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from penlatch.control.client import Client
from penlatch.sim.writer import Writer
from support.door import know
from support.signing import IDLE_S, PATIENT, pen_found, soon
from support.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penlatch.messages import Part
    from penlatch.sim.tablet import Isdv4Tablet

ADA = Writer(11)
PULSE_S = 4.0
SLACK_S = 3.0
"""What a stop may take beside the pulse [s]."""


@contextmanager
def door(folder: Path, tablet: Isdv4Tablet, text: str, *, pulse_s: float = PULSE_S) -> Iterator[Terminal]:
    """Give a running terminal that knows ada, with a program of this text that opens."""
    program = folder / "open"
    program.write_text(f"#!/bin/sh\ncd {folder}\n{text}\n")
    program.chmod(0o700)
    sections: dict[str, dict[str, Any]] = {
        "segment": {"idle_s": IDLE_S},
        "bolt": {"command": [str(program)], "pulse_s": pulse_s},
        **PATIENT,
    }
    terminal = Terminal(folder / "door-1", device=f"isdv4:{tablet.path}", sections=sections)
    rng = np.random.default_rng(0)
    know(terminal, "ada", iter(partial(ADA.genuine, rng), None))
    try:
        terminal.start()
        pen_found(terminal)
        yield terminal
    finally:
        terminal.close()


def sign(terminal: Terminal, tablet: Isdv4Tablet) -> None:
    """Have ada sign until she is recognised."""
    rng = np.random.default_rng(7)
    for _ in range(5):
        acted = terminal.act("verify", "ada", "--purpose", "door", hands=[partial(tablet.play, ADA.genuine(rng))])
        if acted.status == 0:
            return
    raise AssertionError(terminal.log())


def bolt(terminal: Terminal) -> Part:
    """Return what health says of the bolt."""
    found = Client(terminal.socket).status().bolt
    assert found
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_in_mid_pulse_gives_the_program_the_time_to_shut(
    tmp_path: Path, tablet: Isdv4Tablet, number: signal.Signals
) -> None:
    with door(tmp_path, tablet, "touch opened; sleep 2; touch shut") as terminal:
        sign(terminal, tablet)
        soon((tmp_path / "opened").exists, "it is open", pause_s=0.01)
        assert (terminal.folder / "bolt-may-be-open").exists()
        assert terminal.process
        terminal.process.send_signal(number)
        terminal.process.send_signal(number)
        assert terminal.process.wait(30) == 0, terminal.log()
        assert (tmp_path / "shut").exists()
        assert not (terminal.folder / "bolt-may-be-open").exists()
        terminal.start()
        assert bolt(terminal).ok


def test_a_program_that_does_not_end_is_asked_and_then_ended_and_the_next_start_doubts(
    tmp_path: Path, tablet: Isdv4Tablet
) -> None:
    text = "trap 'date +%s.%N > asked' TERM; touch opened; while :; do sleep 0.1; done"
    with door(tmp_path, tablet, text, pulse_s=0.5) as terminal:
        sign(terminal, tablet)
        soon((tmp_path / "opened").exists, "it is open", pause_s=0.01)
        began = time.monotonic()
        assert terminal.stop() == 0, terminal.log()
        assert time.monotonic() - began < 0.5 + 5 + 2 + SLACK_S
        assert (tmp_path / "asked").exists(), "SIGTERM comes before SIGKILL"
        terminal.start()
        assert not bolt(terminal).ok
        assert "may be open" in (bolt(terminal).detail or "")


def test_a_daemon_that_was_killed_in_mid_pulse_doubts_until_a_pulse_ends_well(
    tmp_path: Path, tablet: Isdv4Tablet
) -> None:
    with door(tmp_path, tablet, "touch opened; sleep 0.3") as terminal:
        sign(terminal, tablet)
        soon((tmp_path / "opened").exists, "it is open", pause_s=0.01)
        terminal.kill()
        for _ in range(2):
            terminal.start()
            pen_found(terminal)
            assert not Client(terminal.socket).status().ok
            assert "may be open" in (bolt(terminal).detail or "")
            assert terminal.stop() == 0
        terminal.start()
        pen_found(terminal)
        sign(terminal, tablet)
        soon(lambda: bolt(terminal).ok, "a pulse ended well")
        assert terminal.stop() == 0
        terminal.start()
        assert bolt(terminal).ok
