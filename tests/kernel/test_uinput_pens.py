"""Pens of many kinds, from the device node to the decision of the real daemon; and what happens to a pen meanwhile."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import evdev
import numpy as np
import pytest

from penlatch.control.client import Client
from penlatch.messages import Reason, Verdict
from penlatch.sim.writer import Writer
from support.door import IDLE_S, know
from support.signing import decided, pen_found, pen_missed, soon
from support.terminal import Terminal
from support.uinput_pens import WACOM, PenModel, UinputPen, other_devices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penlatch.ink import Trace

pytestmark = pytest.mark.guest("plain")

ADA, EVE = Writer(11), Writer(12)
REPLUGS: Final = 100
HOUR_S: Final = 3600.0

MODELS: Final = [
    WACOM,
    PenModel("UC-Logic-like Pen", has_tool_key=False, pressure_max=8191),
    PenModel("A pen that never leaves", leaves=False),
    PenModel("A pen of unknown size", tells_resolution=False),
    PenModel("A worn pen", pressure_offset=0.03),
]


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """Return a running terminal that knows ada, was started without a pen and takes the only one that comes."""
    sections: dict[str, dict[str, Any]] = {"terminal": {"mode": "always"}, "segment": {"idle_s": IDLE_S}}
    terminal = Terminal(tmp_path_factory.mktemp("uinput"), device="evdev:", sections=sections)
    rng = np.random.default_rng(0)
    know(terminal, "ada", [ADA.genuine(rng) for _ in range(5)])
    with terminal:
        yield terminal


def signed(writer: Writer, seed: int) -> Trace:
    return writer.genuine(np.random.default_rng(seed))


def assert_ada_is_known(terminal: Terminal, pen: UinputPen, *, rate_hz: float | None = None) -> None:
    decision = decided(terminal, partial(pen.write, signed(ADA, 5), rate_hz=rate_hz))
    assert (decision.verdict, decision.user) == (Verdict.MATCH, "ada")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_whoever_is_known_is_recognised_and_nobody_else(terminal: Terminal, model: PenModel) -> None:
    with UinputPen(model) as pen:
        assert model.name in pen_found(terminal)
        assert_ada_is_known(terminal, pen)
        stranger = decided(terminal, partial(pen.write, signed(EVE, 6)))
        assert (stranger.verdict, stranger.user) == (Verdict.NO_MATCH, None)
    pen_missed(terminal)


@pytest.mark.parametrize("rate_hz", [100.0, 200.0])
def test_it_works_at_any_rate(terminal: Terminal, rate_hz: float) -> None:
    with UinputPen(WACOM) as pen:
        pen_found(terminal)
        assert_ada_is_known(terminal, pen, rate_hz=rate_hz)
    pen_missed(terminal)


def test_what_is_no_pen_is_not_taken_for_one(terminal: Terminal) -> None:
    others = other_devices()
    try:
        time.sleep(2)
        assert not Client(terminal.socket).status().pen.ok
        with UinputPen(WACOM) as pen:
            assert WACOM.name in pen_found(terminal)
            assert_ada_is_known(terminal, pen)
        pen_missed(terminal)
    finally:
        for device in others:
            device.close()


def test_of_two_tablets_none_is_chosen_by_chance(terminal: Terminal) -> None:
    with UinputPen(WACOM) as first:
        pen_found(terminal)
        with UinputPen(PenModel("Another pen")) as second:
            # The one that is read stays the one that is read.
            assert_ada_is_known(terminal, first)
            first.unplug()
            soon(lambda: "Another pen" in (Client(terminal.socket).status().pen.detail or ""), "the other is taken")
            assert_ada_is_known(terminal, second)
    pen_missed(terminal)


def test_a_grabbed_tablet_is_no_use_until_it_is_let_go(terminal: Terminal) -> None:
    with UinputPen(WACOM) as pen:
        holder = evdev.InputDevice(pen.path)
        holder.grab()
        time.sleep(2)
        holder.ungrab()
        holder.close()
        pen_found(terminal)
        assert_ada_is_known(terminal, pen)
    pen_missed(terminal)


def test_a_hundred_replugs_leave_a_terminal_that_works(terminal: Terminal) -> None:
    pen = UinputPen(WACOM)
    trace = signed(ADA, 5)
    for number in range(REPLUGS):
        with pen:
            match number % 4:
                case 0:
                    pen_found(terminal)
                case 1:
                    pen.report(50, 50, 0.5, touching=True)
                case 2:
                    pen.write(trace, until_s=0.1)
                case _:
                    pass
    with pen:
        pen_found(terminal)
        assert_ada_is_known(terminal, pen)
    pen_missed(terminal)


def test_a_pen_pulled_out_in_mid_signature_is_a_retry(terminal: Terminal) -> None:
    client = Client(terminal.socket)
    with UinputPen(WACOM) as pen:
        pen_found(terminal)
        before = client.decisions(limit=1)[0].seq
        pen.write(signed(ADA, 5), until_s=0.8)
        time.sleep(0.2)
    soon(lambda: client.decisions(limit=1)[0].seq > before, "it is told")
    told = client.decisions(limit=1)[0]
    assert (told.verdict, told.reason) == (Verdict.RETRY, Reason.PEN_LOST)


def test_events_that_were_dropped_cost_one_signature_and_not_the_next(terminal: Terminal) -> None:
    client = Client(terminal.socket)
    with UinputPen(WACOM) as pen:
        pen_found(terminal)
        before = client.decisions(limit=1)[0].seq
        assert terminal.process
        with ThreadPoolExecutor(1) as hand:
            writing = hand.submit(pen.write, signed(ADA, 5))
            time.sleep(0.5)
            terminal.process.send_signal(signal.SIGSTOP)
            try:
                time.sleep(1.0)
            finally:
                terminal.process.send_signal(signal.SIGCONT)
            writing.result()
        soon(lambda: client.decisions(limit=1)[0].seq > before, "it is told")
        told = client.decisions(limit=1)[0]
        assert (told.verdict, told.reason) == (Verdict.RETRY, Reason.EVENTS_LOST)
        assert_ada_is_known(terminal, pen)
    pen_missed(terminal)


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S])
def test_a_clock_that_jumps_hurts_no_signature(terminal: Terminal, jump_s: float) -> None:
    with UinputPen(WACOM) as pen:
        pen_found(terminal)
        time.clock_settime(time.CLOCK_REALTIME, time.time() + jump_s)
        assert_ada_is_known(terminal, pen)
    pen_missed(terminal)
